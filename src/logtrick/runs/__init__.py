"""Run folders: the settings of each run, what it measured, and the policies that it trained.

    config.json          everything needed to run it again, versions and device included
    metrics.jsonl        one line for each update and seed; no wall-clock, so that it is bit-exact
    evaluations.jsonl    one line for each evaluation and seed, where there were any
    timings.jsonl        wall-clock, compile time apart
    checkpoints/         the last three states, each verified by its SHA-256 sums
    policy.safetensors   the latest policies and value functions, all seeds; policy.json says how
    best_policy.safetensors   the same, as they were at each seed's best evaluation
    README.md            a model card, once training has ended
    learning_curve.png   the return against steps; report.html shows it with everything else

All of it is data: loading a run executes nothing that it contains.

`config` and `folder` define what a folder holds; `logs`, `trees`, `tree_files` and `checkpoints`
write and verify its files. `record` reads a folder once, and `summaries`, `presentation` (the
report) and `model_card` are made of that record. `run` is the object that `lt.train` returns;
`exporting` writes its policy for other programs, and `sweeps` reads folders of many runs. The
modules that train are in `logtrick.runs.training`.
"""
