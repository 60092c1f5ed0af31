"""The commands, one module each: frozen options that import no JAX, and `run(options)`."""
