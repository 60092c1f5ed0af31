"""The run folder: what a run was told, what it measured, and the policies that came of it.

    config.json          everything needed to run it again, versions and device included
    metrics.jsonl        one line for each update and seed; no wall-clock, so that it is bit-exact
    evaluations.jsonl    one line for each evaluation and seed, where there were any
    timings.jsonl        wall-clock, compile time apart
    checkpoints/         the last three states, each verified by its SHA-256 sums
    policy.safetensors   the latest policies and value functions, all seeds; policy.json says how
    best_policy.safetensors   the same, as they were at each seed's best evaluation
    README.md            a model card, once training has ended
    learning_curve.png   report.html

All of it is data: loading a run executes nothing that it contains.

`config` and `folder` say what a folder holds, `logs`, `tree_files` and `checkpoints` how, `run`
reads it; `summaries`, `presentation`, `model_card` and `exporting` are made of it, `sweeps` are
folders of runs. What writes runs is `logtrick.runs.training`.
"""
