"""Worker processes: every task has one result, a crash costs only the task that caused it."""

import os

from askaudio.encoders.workers import map_in_workers


def double(encoder, task):
    """Twice the task, and the encoder's dimension; task 3 ends its process as a crash in a decoder does."""
    if task == 3:
        os._exit(1)
    return encoder.embed_dim, 2 * task


def test_each_task_is_mapped_and_the_one_that_crashes_is_reported():
    found = list(map_in_workers(double, range(8), "toy:dim=5", 2, lambda task: (0, -task)))
    assert sorted(found) == sorted([(5, 2 * task) for task in range(8) if task != 3] + [(0, -3)])


def test_no_tasks():
    assert list(map_in_workers(double, [], "toy", 1, lambda task: None)) == []
