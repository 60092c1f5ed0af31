"""What the learner of a configuration does, called by the configuration."""

from logtrick.algorithms.learning import learner_of


def loss(algorithm, model, batch):
    return learner_of(algorithm).loss(algorithm, model, batch)


def learn(algorithm, model, opt_state, batch, key):
    return learner_of(algorithm).learn(algorithm, model, opt_state, batch, key)
