import json

from devise.training import History


def test_survives_json():
    history = History(loss=(0.5, 0.25), validation_loss=(0.6, 0.7), score=(0.1, 0.2), best_epoch=2,
                      scores={"map_at_r": (0.1, 0.2), "recall_at_1": (0.3, 0.4)}, start_score=0.05,
                      batch_size=32, empty_batches=3, left_out=(4, 9), seconds=1.5)
    assert History.from_json(json.loads(json.dumps(history.to_json()))) == history


def test_counts_its_epochs():
    assert History(loss=(0.5, 0.25, 0.2)).epochs == 3
