"""The skip rules: which nodes there are behind the encoder, and what each reads. X[i,j] is node j of level i."""

from collections.abc import Iterator

from unetsearch.space.skip import Position, Skip

Laid = Iterator[tuple[Position, list[Position]]]
"""Decoder nodes with their sources, each after all it reads."""


def plain(depth: int) -> Laid:
    """U-Net (arXiv 1505.04597): the encoder's node of the level, and the node below."""
    for i in reversed(range(depth)):
        yield (i, depth - i), [(i, 0), (i + 1, depth - i - 1)]


def dense(depth: int) -> Laid:
    """U-Net++ (arXiv 1912.05074): every earlier node of the level, and the node below of the column before."""
    for j in range(1, depth + 1):
        for i in range(depth - j + 1):
            yield (i, j), [*((i, k) for k in range(j)), (i + 1, j - 1)]


def full_scale(depth: int) -> Laid:
    """U-Net 3+ (arXiv 2004.08790): the encoder of every level down to this one, the decoder of every deeper one."""
    for i in reversed(range(depth)):
        yield (i, depth - i), [*((k, 0) for k in range(i + 1)), *((k, depth - k) for k in range(i + 1, depth + 1))]


def lay(skip: Skip, depth: int, top: int = 0) -> Laid:
    """The decoder's nodes of a skip rule. `top`: the first level that has an encoder node; those above are not read.

    A node that would read nothing else is left out, and not read either.
    """
    match skip.rule:
        case "plain":
            laid = plain(depth)
        case "dense":
            laid = dense(depth)
        case "full_scale":
            laid = full_scale(depth)
        case "free":
            assert skip.sources is not None, "free skips have sources"
            laid = ((node, list(sources)) for node, sources in skip.sources)
    there = {(level, 0) for level in range(top, depth + 1)}
    for node, sources in laid:
        found = [source for source in sources if source in there]
        if found:
            there.add(node)
            yield node, found


def supervised(skip: Skip, depth: int) -> list[Position]:
    """The nodes that have a head under deep supervision, the final one last.

    `plain`: every decoder level. `dense`, `free`: X[0,j] by growing depth, as far as there is one. `full_scale`: levels
    depth (the bottleneck) to 0.
    """
    if skip.sources is not None:
        return [node for node, _ in skip.sources if node[0] == 0]
    if skip.rule == "dense":
        return [(0, j) for j in range(1, depth + 1)]
    deepest = depth if skip.rule == "full_scale" else depth - 1
    return [(i, depth - i) for i in range(deepest, -1, -1)]
