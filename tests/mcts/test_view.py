"""The page of search trees as a browser's parser sees it, and the command that writes it."""

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from coderm_slime.records import Evaluation, Problem, SearchTree, Selection, TreeNode
from helpers.demo_trees import demo_tree
from helpers.processes import coderm
from helpers.searches import FakeModel, run_search, tree_of
from mcts.config import SearchConfig
from mcts.view import tree_page
from mcts.view.code import path_text
from mcts.view.layout import path_to, rows_of

VOID = {"meta", "input"}
HOSTILE = (
    "</script></style></title></pre></code><script>alert(1)</script><img src=x onerror=alert(1)> \"'> {{ 7 * 7 }}"
)


class Element:
    def __init__(self, tag: str, attributes: dict[str, str | None], parent: "Element | None") -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str, class_: str | None = None) -> list["Element"]:
        inside = [child for child in self.children if isinstance(child, Element)]
        here = [child for child in inside if child.tag == tag and class_ in (None, child.attributes.get("class"))]
        return here + [found for child in inside for found in child.all(tag, class_)]

    def after(self, tag: str) -> "Element":
        """The first sibling of that tag behind this element."""
        behind = self.parent.children[self.parent.children.index(self) + 1 :]
        return next(one for one in behind if isinstance(one, Element) and one.tag == tag)


class Reader(HTMLParser):
    """The document as elements; fails on a tag that closes another one than the last opened."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.here = Element("", {}, None)
        self.feed(html)
        self.close()
        assert self.here is self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), self.here)
        self.here.children.append(element)
        if tag not in VOID:
            self.here = element

    def handle_endtag(self, tag: str) -> None:
        assert self.here.tag == tag
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        self.here.children.append(data)


def read(*trees: SearchTree) -> Element:
    return Reader(tree_page(trees)).root


def picks(page: Element) -> dict[str, Element]:
    """The radio button of each node, by its id in the page."""
    return {one.attributes["id"]: one for one in page.all("input", "pick")}


def big_tree() -> SearchTree:
    model = FakeModel(3, labels="abcdefgh", longest=8, failures=0.1)
    return tree_of(run_search(SearchConfig(schedule="uct", num_rollouts=120), model)[0])


@pytest.fixture(scope="module")
def tree() -> SearchTree:
    return demo_tree()


@pytest.mark.parametrize("made", [demo_tree, big_tree], ids=["demo", "more than 200 nodes"])
def test_every_node_has_its_row_with_its_statistics_and_its_evaluations_beside_it(made) -> None:
    tree = made()
    buttons = picks(read(tree))
    assert list(buttons) == [f"t0n{row.node}" for row in rows_of(tree)]
    assert len(buttons) == len(tree.nodes)
    assert made is demo_tree or len(tree.nodes) > 200
    for node in tree.nodes:
        pick = buttons[f"t0n{node.id}"]
        row, detail = pick.after("label"), pick.after("article")
        assert row.attributes["for"] == pick.attributes["id"]
        assert [row.all("span", "mean")[0].text, row.all("span", "number")[0].text] == [
            f"{node.value / node.visits:.3f}",
            str(node.visits),
        ]
        assert row.all("span", "number ends")[0].text == (f"■ {node.terminal_visits}" if node.response else "")
        shown = detail.all("section", "evaluation")
        assert len(shown) == len(node.evaluations)
        for evaluation, section in zip(node.evaluations, shown, strict=True):
            assert f"Rollout {evaluation.rollout}: reward {evaluation.reward:.3f}" in section.text
            assert f"grade {evaluation.grade:.3f} of 5" in section.text
            assert evaluation.spread is None or f"± {evaluation.spread:.3f}" in section.text
            assert evaluation.ending in section.text
            assert section.all("pre")[0].text == evaluation.output
            assert section.all("p", "text")[0].text == evaluation.analysis


def test_an_inner_node_lists_what_was_backed_up_through_it(tree: SearchTree) -> None:
    buttons = picks(read(tree))
    for node in tree.nodes:
        lines = [line.text for line in buttons[f"t0n{node.id}"].after("article").all("li")]
        if any(other.parent == node.id for other in tree.nodes):
            rewards = [float(re.search(r": (\S+) from", line).group(1)) for line in lines]
            assert len(lines) == node.visits
            assert sum(rewards) == pytest.approx(node.value, abs=0.001 * node.visits)


@pytest.mark.parametrize("schedule", ["uct", "paper"])
def test_selections_stand_in_order_with_rule_scores_choice_and_outcome(schedule: str) -> None:
    tree = demo_tree(schedule)
    rows = read(tree).all("table", "selections")[0].all("tr")[1:]
    assert len(rows) == len(tree.selections)
    assert any(one.failure for one in tree.selections)
    assert schedule == "paper" or any(one.choices for one in tree.selections)
    rewards = {one.rollout: one.reward for node in tree.nodes for one in node.evaluations}
    for selection, row in zip(tree.selections, rows, strict=True):
        rollout, did, rule, scores, outcome = row.all("td")
        assert rollout.text == str(selection.rollout)
        assert did.text == f"{selection.action} {selection.node}"
        assert rule.text == selection.rule.replace("_", " ")
        assert len(scores.all("div", "choice")) == len(selection.choices)
        for choice, line in zip(selection.choices, scores.all("div", "choice"), strict=True):
            marks = ["✓ " if child == choice.chosen else "" for child in choice.children]
            assert [one.text for one in line.all("span")] == [
                f"{mark}{child} {score:.3f}"
                for mark, child, score in zip(marks, choice.children, choice.scores, strict=True)
            ]
            assert line.text.strip().startswith(f"below {choice.parent}:")
        if selection.failure:
            assert outcome.text.strip() == f"✗ failed: {selection.failure}"
        else:
            assert outcome.text.strip() == f"to {selection.leaf}, reward {rewards[selection.rollout]:.3f}"


def test_a_nodes_path_is_marked_step_by_step_in_the_whole_response(tree: SearchTree) -> None:
    buttons = picks(read(tree))
    for node in tree.nodes:
        text = buttons[f"t0n{node.id}"].after("article").all("pre")[0]
        marks = text.all("mark")
        assert [mark.attributes["title"] for mark in marks] == [f"node {one}" for one in path_to(tree, node.id)[1:]]
        assert [mark.attributes["class"] for mark in marks] == [*["path"] * (node.depth - 1), "own"][: node.depth]
        if node.response is not None:
            before, after = (part.text for part in text.all("span", "outside"))
            assert before.endswith("```python\n")
            ends = [len(before) + end for end in itertools.accumulate(len(mark.text) for mark in marks)]
            assert tuple(ends) == node.cuts
            assert before + "".join(mark.text for mark in marks) + after == text.text == node.response


def test_a_node_where_no_response_ends_is_shown_in_one_that_passes_it(tree: SearchTree) -> None:
    inner = next(node for node in tree.nodes if node.depth == 2 and node.response is None)
    below = [node for node in tree.nodes if inner.id in path_to(tree, node.id)[:-1]]
    shown = path_text(tree, path_to(tree, inner.id), below)
    assert shown.leaf in [node.id for node in below if node.response]
    assert "".join(piece.text for piece in shown.pieces) == tree.nodes[shown.leaf].response


def test_without_offsets_the_steps_are_shown_and_the_response_below_them() -> None:
    nodes = (
        TreeNode(id=0, parent=None, depth=0, segment="", visits=1, value=0.5),
        TreeNode(id=1, parent=0, depth=1, segment="a = 1\n", visits=1, value=0.5),
        TreeNode(
            id=2, parent=1, depth=2, segment="b = 2\n", visits=1, value=0.5, terminal_visits=1, response="the response"
        ),
    )
    page = read(SearchTree(problem=Problem(id="p", problem="P"), seed=0, nodes=nodes))
    steps, response = picks(page)["t0n2"].after("article").all("pre")
    assert [mark.text for mark in steps.all("mark")] == ["a = 1\n", "b = 2\n"]
    assert response.text == "the response"
    assert picks(page)["t0n0"].attributes.keys() >= {"checked"}


def everywhere(text: str) -> SearchTree:
    """A tree with `text` in every place that can hold any."""
    response = f"{text}\n```python\nx = 1  # {text}\n```\n"
    evaluation = Evaluation(rollout=0, reward=0.4, grade=2, analysis=text, output=text, ending=text)
    leaf = {"segment": f"x = 1  # {text}\n", "visits": 1, "value": 0.4, "terminal_visits": 1, "response": response}
    return SearchTree(
        problem=Problem(id=text, problem=text, entry_point=text, solution=text, metadata={text: text}),
        seed=0,
        calls=text,
        provenance={text: text},
        metadata={f"{text}!": [text]},
        selections=(
            Selection(rollout=0, action="begin", node=0, rule="initial_path", leaf=1),
            Selection(rollout=1, action="expand", node=0, rule="root", failure=text),
        ),
        nodes=(
            TreeNode(id=0, parent=None, depth=0, segment="", visits=1, value=0.4),
            TreeNode(id=1, parent=0, depth=1, cuts=(len(response) - 5,), evaluations=(evaluation,), **leaf),
        ),
    )


def shape(element: Element) -> list:
    inside = [child for child in element.children if isinstance(child, Element)]
    return [element.tag, list(element.attributes), [shape(child) for child in inside]]


@pytest.mark.parametrize("copies", [1, 2], ids=["one tree", "two trees"])
def test_text_from_outside_shows_as_text_and_adds_no_element_and_no_attribute(copies: int) -> None:
    plain, hostile = read(*[everywhere("plain")] * copies), read(*[everywhere(HOSTILE)] * copies)
    assert shape(hostile) == shape(plain)
    assert hostile.text.count(HOSTILE[:20]) == plain.text.count("plain")
    assert plain.text.count("plain") >= 14 * copies


@pytest.mark.parametrize("trees", [1, 2], ids=["one tree", "two trees"])
def test_a_page_loads_nothing_runs_nothing_and_follows_light_and_dark(tree: SearchTree, trees: int) -> None:
    html = tree_page([tree] * trees)
    assert "default-src 'none'" in html
    assert "prefers-color-scheme: dark" in html
    assert ".pick:checked + .row + .detail { display: block; }" in html
    for outside in ("<script", "src=", "url(", "@import", "http:", "https:", "<form", "<iframe"):
        assert outside not in html
    page = Reader(html).root
    assert [link.attributes["href"] for link in page.all("a")] == ([] if trees == 1 else ["#t0", "#t1"])
    styles = {one.attributes["style"] for tag in ("span", "div") for one in page.all(tag) if "style" in one.attributes}
    assert all(re.fullmatch(r"--(q: [01]\.\d{4}|(level|deepest): \d+)", style) for style in styles)


def test_ids_are_unique_every_label_has_its_button_and_one_node_is_chosen(tree: SearchTree) -> None:
    html = tree_page([tree, big_tree()])
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    page = Reader(html).root
    assert {label.attributes["for"] for label in page.all("label")} <= set(picks(page))
    (chosen,) = [name for name, pick in picks(page).items() if "checked" in pick.attributes]
    best = tree.nodes[int(chosen.removeprefix("t0n"))]
    means = [
        sum(one.reward for one in node.evaluations) / len(node.evaluations) for node in tree.nodes if node.response
    ]
    assert best.value / best.visits == pytest.approx(max(means))


def test_only_children_keep_their_indentation_and_a_fold_holds_the_branch_below_it() -> None:
    tree = big_tree()
    rows = {row.node: row for row in rows_of(tree)}
    siblings = {node.id: [one.id for one in tree.nodes if one.parent == node.parent] for node in tree.nodes}
    for node in tree.nodes[1:]:
        deeper = len(siblings[node.id]) > 1
        assert rows[node.id].level == rows[node.parent].level + deeper
        assert rows[node.id].first == deeper
    page = read(tree)
    folds = {fold.attributes["aria-label"]: fold for fold in page.all("input", "fold")}
    for row in rows.values():
        below = {f"t0n{node.id}" for node in tree.nodes if row.node in path_to(tree, node.id)[:-1]}
        if row.first and below:
            fold = folds.pop(f"fold the {len(below)} nodes below node {row.node}")
            assert set(picks(fold.after("div"))) == below, "what the fold's sibling holds"
    assert not folds


def test_a_path_deeper_than_calls_may_nest_is_shown() -> None:
    depth = 3000
    response = "x\n" * depth
    nodes = [TreeNode(id=0, parent=None, depth=0, segment="", visits=1, value=1)]
    nodes += [
        TreeNode(id=n, parent=n - 1, depth=n, segment="x\n", visits=1, value=1, terminal_visits=0)
        for n in range(1, depth)
    ]
    last = {"terminal_visits": 1, "response": response, "segment": "x\n", "visits": 1, "value": 1}
    nodes.append(TreeNode(id=depth, parent=depth - 1, depth=depth, **last))
    rows = rows_of(SearchTree(problem=Problem(id="p", problem="P"), seed=0, nodes=tuple(nodes)))
    assert [row.node for row in rows] == list(range(depth + 1))
    assert rows[-1].closes == 1


def write(path: Path, *trees: SearchTree) -> Path:
    path.write_text("".join(tree.model_dump_json() + "\n" for tree in trees))
    return path


def test_the_command_writes_the_page_names_a_torn_row_and_says_so_by_its_exit_code(
    tmp_path: Path, tree: SearchTree
) -> None:
    file = write(tmp_path / "trees.jsonl", tree, everywhere("other"))
    with file.open("a") as rows:
        rows.write(tree.model_dump_json()[:500])
    result = coderm("curate", "view", file, "-o", tmp_path / "new" / "tree.html")
    assert result.returncode == 1
    assert f"{file}:3: not a JSON line" in result.stderr
    assert result.stdout.startswith("2 trees: ")
    page = Reader((tmp_path / "new" / "tree.html").read_text()).root
    assert {name[:2] for name in picks(page)} == {"t0", "t1"}
    assert "1 rows could not be read" in page.text


def test_a_problem_is_picked_by_its_id_and_a_missing_one_is_a_clear_error(tmp_path: Path, tree: SearchTree) -> None:
    files = [write(tmp_path / "a.jsonl", tree), write(tmp_path / "b.jsonl", everywhere("other"))]
    out = tmp_path / "tree.html"
    result = coderm("curate", "view", *files, "-o", out, "--problem", "other")
    assert result.returncode == 0, result.stderr
    assert len(picks(Reader(out.read_text()).root)) == 2
    missing = coderm("curate", "view", *files, "-o", tmp_path / "none.html", "--problem", "nothing")
    assert missing.returncode == 1
    assert "is of problem nothing; there are: made/second-largest, other" in missing.stderr
    assert not (tmp_path / "none.html").exists()


def test_of_more_than_a_hundred_trees_the_first_are_shown_and_the_page_says_so(tmp_path: Path) -> None:
    file = write(tmp_path / "trees.jsonl", *[everywhere(f"p{number}") for number in range(102)])
    result = coderm("curate", "view", file, "-o", tmp_path / "tree.html")
    assert result.returncode == 0, result.stderr
    page = Reader((tmp_path / "tree.html").read_text()).root
    assert len(page.all("a")) == 100
    assert "100 of 102 trees are shown; --problem ID picks one" in page.text
    assert "100 of 102 trees are shown" in result.stderr


def test_files_without_a_tree_are_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "trees.jsonl"
    file.write_text('{"problem": 3}\n')
    result = coderm("curate", "view", file, "-o", tmp_path / "tree.html")
    assert result.returncode == 1
    assert f"{file}:1: SearchTree" in result.stderr
    assert "no tree that can be read" in result.stderr
    assert "(1 bad rows)" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_row_whose_selections_name_a_node_that_is_not_there_is_a_bad_row(tree: SearchTree) -> None:
    row = tree.model_dump()
    row["selections"] = [*row["selections"][:-1], {**row["selections"][-1], "node": len(tree.nodes)}]
    with pytest.raises(ValueError, match=f"names node {len(tree.nodes)} of a tree of {len(tree.nodes)} nodes"):
        SearchTree.model_validate(row)
