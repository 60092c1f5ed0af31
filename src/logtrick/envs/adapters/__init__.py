"""One module for each ecosystem of environments; each alone imports its ecosystem.

`gymnasium`, `atari` and `envpool` give rows on the host (`HostEnvs`), `gymnax`, `craftax` and
`playground` environments on the device (`DeviceEnv`). An adapter never lets an environment reset
itself: a step returns the observation that was really reached, `terminated` and `truncated`.
`logtrick.envs.catalog` maps the prefix of an id to its adapter.
"""
