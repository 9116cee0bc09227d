"""History: the last cells, a range of a session, a search, and all of it after a restart."""

from __future__ import annotations

import uuid

import pytest

from harness import Client

# All sessions write into one history, and these tests take the last one for their own.
pytestmark = pytest.mark.alone


def marked(*codes: str) -> tuple[str, list[str]]:
    """The codes with a comment that no other cell has."""
    mark = uuid.uuid4().hex
    return mark, [f"{code} // {mark}" for code in codes]


def inputs(entries: list[list]) -> list[str]:
    return [entry[2] for entry in entries]


def test_tail_gives_the_last_cells_in_order(kernel: Client) -> None:
    _, codes = marked("1", "2", "3")
    counts = [kernel.run(code).count for code in codes]
    entries = kernel.history("tail", n=3)
    assert inputs(entries) == codes
    assert [entry[1] for entry in entries] == counts
    assert len({entry[0] for entry in entries}) == 1


def test_tail_gives_exactly_as_many_as_asked(kernel: Client) -> None:
    for code in marked("1", "2", "3")[1]:
        kernel.run(code)
    assert len(kernel.history("tail", n=2)) == 2
    assert len(kernel.history("tail", n=1)) == 1


def test_failed_cells_are_kept_too(kernel: Client) -> None:
    _, codes = marked("no_such_name", 'panic!("x");')
    for code in codes:
        kernel.execute(code).expect_error()
    assert inputs(kernel.history("tail", n=2)) == codes


def test_cells_outside_history_are_not_kept(kernel: Client) -> None:
    mark, codes = marked("1", "2", "3")
    kernel.run(codes[0], store_history=False)
    kernel.run(codes[1], silent=True)
    kernel.run(codes[2])
    assert inputs(kernel.history("search", pattern=f"*{mark}*")) == [codes[2]]


def test_text_is_kept_as_it_was_typed(kernel: Client) -> None:
    _, (code,) = marked('let s = "🦀";\n\n  s.len()  ')
    kernel.run(code)
    assert inputs(kernel.history("tail", n=1)) == [code]


# ---- ranges


def test_range_of_this_session(kernel: Client) -> None:
    _, codes = marked("1", "2", "3", "4")
    counts = [kernel.run(code).count for code in codes]
    entries = kernel.history("range", session=0, start=counts[1], stop=counts[3])
    assert inputs(entries) == codes[1:3]
    assert [entry[1] for entry in entries] == counts[1:3]


def test_range_of_a_session_by_its_number(kernel: Client) -> None:
    _, codes = marked("1", "2")
    for code in codes:
        kernel.run(code)
    session, line, _ = kernel.history("tail", n=1)[0]
    entries = kernel.history("range", session=session, start=line, stop=line + 1)
    assert entries == [[session, line, codes[1]]]


def test_range_without_a_stop_goes_to_the_end(kernel: Client) -> None:
    _, codes = marked("1", "2")
    first = kernel.run(codes[0]).count
    kernel.run(codes[1])
    assert inputs(kernel.history("range", session=0, start=first)) == codes


def test_range_of_no_session_is_empty(kernel: Client) -> None:
    assert kernel.history("range", session=987_654_321, start=1, stop=9) == []


# ---- search


def test_search_takes_a_glob_pattern(kernel: Client) -> None:
    mark, codes = marked("10 + 1", "20 + 2", "20 - 2")
    for code in codes:
        kernel.run(code)
    assert inputs(kernel.history("search", pattern=f"20*{mark}")) == codes[1:]
    assert inputs(kernel.history("search", pattern=f"?0 + ? *{mark}")) == codes[:2]
    assert inputs(kernel.history("search", pattern=f"30*{mark}")) == []


def test_search_treats_other_characters_as_they_are(kernel: Client) -> None:
    mark, codes = marked('"100%_done"', '"100x_done"')
    for code in codes:
        kernel.run(code)
    assert inputs(kernel.history("search", pattern=f"*100%_done*{mark}")) == codes[:1]


def test_search_can_leave_out_repetitions(kernel: Client) -> None:
    mark, (code,) = marked("5")
    for _ in range(3):
        kernel.run(code)
    assert len(kernel.history("search", pattern=f"*{mark}")) == 3
    assert inputs(kernel.history("search", pattern=f"*{mark}", unique=True)) == [code]


def test_search_gives_the_last_n(kernel: Client) -> None:
    mark, codes = marked("1", "2", "3", "4")
    for code in codes:
        kernel.run(code)
    assert inputs(kernel.history("search", pattern=f"*{mark}", n=2)) == codes[2:]


# ---- outputs


def test_outputs_come_with_their_inputs(kernel: Client) -> None:
    _, codes = marked("6 * 7", "let nothing = 1;")
    for code in codes:
        kernel.run(code)
    entries = kernel.history("tail", n=2, output=True)
    assert [entry[2][0] for entry in entries] == codes
    assert [entry[2][1] for entry in entries] == ["42", None]


# ---- restart


@pytest.mark.parametrize("restart", [True, False])
def test_history_is_kept_when_the_kernel_ends(start_kernel, restart: bool) -> None:
    mark, codes = marked("1", "2")
    first = start_kernel()
    for code in codes:
        first.run(code)
    session = first.history("tail", n=1)[0][0]
    first.shutdown(restart=restart)
    first.process.wait_exit(10)
    # History needs no engine, so the second kernel need not be warm.
    second = start_kernel(warm=False)
    entries = second.history("search", pattern=f"*{mark}")
    assert inputs(entries) == codes
    assert {entry[0] for entry in entries} == {session}
    assert second.history("range", session=session, start=1, stop=2)[0][2] == codes[0]


def test_two_kernels_have_sessions_of_their_own(start_kernel, kernel: Client) -> None:
    other = start_kernel()
    mark, codes = marked("1", "2")
    kernel.run(codes[0])
    other.run(codes[1])
    sessions = [entry[0] for entry in kernel.history("search", pattern=f"*{mark}")]
    assert len(set(sessions)) == 2, sessions
