"""`check_env`: is this environment what the training loop takes it for?

`check_env` plays random episodes (`driving`) and checks spaces, flags, shapes and determinism, on
the host and on the device (`device_checks`); where an environment states its transition
probabilities, a chi-squared test compares them with what it does (`chances`). The adapters of this
library pass the same checks in the tests.
"""
