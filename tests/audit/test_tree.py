"""The tree and its proofs against published vectors, and against each other at every size."""

import pytest

from ordergate.audit.tree import (
    Frontier,
    consistency_proof,
    grew,
    growth_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
)
from tests.audit import vectors
from verifier import ordergate_verifier as verifier


def test_the_roots_are_the_published_ones() -> None:
    assert root_of([]).hex() == vectors.EMPTY_ROOT
    for size, root in enumerate(vectors.ROOTS, 1):
        assert root_of(vectors.LEAVES[:size]).hex() == root


def test_the_verifier_finds_the_published_roots_too() -> None:
    tree = verifier.Tree()
    assert tree.root().hex() == vectors.EMPTY_ROOT
    for leaf, root in zip(vectors.LEAVES, vectors.ROOTS, strict=True):
        tree.append(leaf)
        assert tree.root().hex() == root


@pytest.mark.parametrize(("index", "size", "path"), vectors.INCLUSION)
def test_proofs_of_inclusion_are_the_published_ones(index: int, size: int, path: list[str]) -> None:
    made = inclusion_proof(vectors.LEAVES[:size], index)
    assert [one.hex() for one in made] == path
    leaf = verifier.leaf_hash(vectors.LEAVES[index])
    assert verifier.root_from_inclusion(leaf, index, size, made).hex() == vectors.ROOTS[size - 1]


@pytest.mark.parametrize(("earlier", "later", "path"), vectors.CONSISTENCY)
def test_proofs_of_consistency_are_the_published_ones(earlier: int, later: int, path: list[str]) -> None:
    made = consistency_proof(vectors.LEAVES[:later], earlier)
    assert [one.hex() for one in made] == path
    verifier.check_consistency(_head(earlier), _head(later), made)


def _head(size: int) -> verifier.Checkpoint:
    return verifier.Checkpoint("vectors", size, bytes.fromhex(vectors.ROOTS[size - 1]))


LEAVES = [number.to_bytes(2, "big") for number in range(67)]


def test_every_proof_of_every_tree_holds_and_no_other_does() -> None:
    for size in range(1, len(LEAVES) + 1):
        leaves = LEAVES[:size]
        root = root_of(leaves)
        for index in range(size):
            path = inclusion_proof(leaves, index)
            assert verifier.root_from_inclusion(leaf_hash(leaves[index]), index, size, path) == root
            other = leaf_hash(b"another")
            assert verifier.root_from_inclusion(other, index, size, path) != root


def test_every_tree_is_proven_to_have_grown_out_of_every_earlier_one() -> None:
    heads = [verifier.Checkpoint("o", size, root_of(LEAVES[:size])) for size in range(len(LEAVES) + 1)]
    for later in range(1, len(LEAVES) + 1):
        for earlier in range(1, later + 1):
            path = consistency_proof(LEAVES[:later], earlier)
            verifier.check_consistency(heads[earlier], heads[later], path)
            forked = heads[earlier]._replace(root=root_of([b"another", *LEAVES[1:earlier]]))
            with pytest.raises(verifier.Broken):
                verifier.check_consistency(forked, heads[later], path)


def test_a_tree_goes_on_from_its_right_edge() -> None:
    for size in range(40):
        begun = Frontier()
        for leaf in LEAVES[:size]:
            begun.add(leaf)
        resumed = Frontier(size, begun.hashes)
        resumed.add(LEAVES[size])
        assert resumed.root() == root_of(LEAVES[: size + 1])


def test_an_edge_that_does_not_fit_the_size_is_refused() -> None:
    with pytest.raises(ValueError, match="2 perfect subtrees"):
        Frontier(3, [bytes(32)])


@pytest.mark.parametrize("earlier", range(1, 67))
def test_a_proof_of_growth_is_made_of_the_edge_and_of_what_was_added(earlier: int) -> None:
    edge = Frontier()
    for leaf in LEAVES[:earlier]:
        edge.add(leaf)
    for later in range(earlier, len(LEAVES) + 1):
        path = growth_proof(edge, LEAVES[earlier:later])
        assert path == consistency_proof(LEAVES[:later], earlier)
        new = root_of(LEAVES[:later])
        assert grew(earlier, edge.root(), later, new, path)
        assert not grew(earlier, edge.root(), later, bytes(32), path)
        assert not grew(earlier, edge.root(), later, new, [*path, bytes(32)])
        if path:
            assert not grew(earlier, bytes(32), later, new, path)
            assert not grew(earlier, edge.root(), later, new, path[:-1])


def test_everything_grew_out_of_nothing_and_no_tree_shrinks() -> None:
    assert growth_proof(Frontier(), LEAVES) == []
    assert grew(0, root_of([]), 67, root_of(LEAVES), [])
    assert not grew(0, root_of([]), 67, root_of(LEAVES), [bytes(32)])
    assert not grew(2, root_of(LEAVES[:2]), 1, root_of(LEAVES[:1]), [])
    assert not grew(2, root_of(LEAVES[:2]), 3, root_of(LEAVES[:3]), [])
