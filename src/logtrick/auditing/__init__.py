"""Estimators of the policy gradient measured against the truth: `logtrick.audit`.

An estimator has an expectation and a covariance, and `report` compares them with the exact ∇J of
`logtrick.exact` (`truth`). `plans` chooses how the two moments are found. `closed_form` solves
linear equations over states (`moments`, `flow`, `critic`). `enumeration` adds up every trajectory
or group of trajectories (`paths`, `rules`). `streaming` and `moment_methods` sample, with a
standard error. `verdict` then asks whose gradient the expectation is: it compares it with ∇J at
several θ, and it looks whether its Jacobian is symmetric.

`scored` is what the audit knows of a policy; `policies` and `torch_policy` read one. `foreign`
calls a user's estimator, after `function_checks` and `repeatable` have tried it on batches that
must not make a difference. `survey` measures every registered estimator for `docs/estimators.md`.
"""
