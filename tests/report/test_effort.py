from dataclasses import replace

from unetsearch.report.effort import by_hand


def test_what_every_point_would_have_taken(make):
    """Two of 60 and 120 s came to their end; a pruned one took 30 s, a baseline 60 s."""
    one, other = make(0), replace(make(1), seconds=120.0)
    pruned = replace(make(2), state="pruned", seconds=30.0)
    records = (make(0, baseline="unet"), one, other, pruned)
    assert by_hand(records, 1200) == (
        "The search took 4 min 30 s of training; each of the 1,200 points of the space, trained once, would have taken "
        "about 30 h 00 min, if all take as long as those that came to their end."
    )
    both = (replace(one, slot="0"), replace(other, slot="1"))
    assert "The search took 3 min 00 s of training, all slots together; each of" in by_hand(both, 1200)


def test_nothing_is_said_where_there_is_nothing_to_compare(make):
    assert by_hand((make(0), make(1)), None) == "", "a continuous space"
    assert by_hand((make(0), make(1)), 2) == "", "all of it was trained"
    assert by_hand((make(0, baseline="unet"),), 100) == ""
    assert by_hand((), 100) == ""
