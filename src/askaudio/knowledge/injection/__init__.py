"""How knowledge enters the loss: neighbors, prototypes, candidates, queues."""
