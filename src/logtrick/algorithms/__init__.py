"""Training: algorithms as frozen configurations, and the one loop that reads them.

Every algorithm here repeats one update. Policies collect a batch of trajectories; an estimate gives
each step a ψ_t, an advantage for example; gradient steps ascend a surrogate whose gradient, where
the update begins, is E[Σ_t γ^t ψ_t ∇log π(a_t|s_t)] (G2), with or without γ^t. So an algorithm is a
choice: ψ × weighting × surrogate × steps.

`configs` and `group_configs` are these choices, frozen dataclasses that need no JAX; `base` and
`group_base` say what every one of them has, `field_checks` what they refuse, and `elsewhere` what
other libraries call a setting. `learning` holds the learner that a configuration names, on top of
`estimation`, `grouped`, `update` and `trust_region`. `program` is one update as a pure function and
`loop` repeats it. `presets` are settings for known environments, with the scores that they reached.
"""
