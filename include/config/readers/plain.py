"""YAML whose values are text as typed: 0012 stays 0012, 1:20 and no stay themselves; each entry reads what it wants."""

from collections.abc import Iterator

import yaml

from include.domain.errors import ConfigError

# YAML's own reader would make 10 of 0012, 80 of 1:20, False of no, and keep the last of two equal keys.
_NOTHING = ("", "~", "null")
_KNOWN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "map", "seq")}
_MERGE = "<<"
_NO_NAME = ' in "<unicode string>",'


def read_yaml(text: str, file: str) -> object:
    """The content of a YAML file in dicts, lists, texts as typed, and None for what is left empty, `null` or `~`.

    ConfigError with the line when it is not YAML, when a key stands twice, or a tag asks for another type.
    """
    try:
        root = yaml.compose(text, Loader=yaml.CBaseLoader)
        return _Content(file).of(root) if root is not None else None
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{file} is not valid YAML: {' '.join(str(error).replace(_NO_NAME, '').split())}. Mend that line."
        ) from error
    except RecursionError:
        raise ConfigError(f"{file} is nested too deeply to be read. Mend its brackets.") from None


class _Content:
    """Makes the content of one file from its nodes; what an alias names is made once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.made: dict[int, object] = {}
        self.open: set[int] = set()

    def of(self, node: yaml.Node) -> object:
        """The value of a node."""
        if id(node) in self.open:
            raise self._wrong(node, "the entry contains itself. Write it out")
        if id(node) not in self.made:
            self.open.add(id(node))
            self.made[id(node)] = self._new(node)
            self.open.remove(id(node))
        return self.made[id(node)]

    def _new(self, node: yaml.Node) -> object:
        if node.tag not in _KNOWN_TAGS:
            raise self._wrong(node, f"the tag {node.tag.rpartition(':')[2]} is not known. Take it away")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.of(each) for each in node.value]
        return None if node.value in _NOTHING and _is_plain(node) else str(node.value)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, object]:
        own: dict[str, object] = {}
        merged: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._wrong(key, "a key must be one word or text. Write 'key: value'")
            is_merge = _is_plain(key) and key.value == _MERGE
            if key.value in own or (is_merge and merged):
                raise self._wrong(key, f"the key '{key.value}' stands twice. Keep one of them")
            if is_merge:
                merged = {name: each for part in self._parts(value) for name, each in part.items()}
            else:
                own[key.value] = self.of(value)
        return merged | own

    def _parts(self, node: yaml.Node) -> Iterator[dict[str, object]]:
        """The mappings a merge takes in, those that give way first."""
        listed = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for each in reversed(listed):
            content = self.of(each)
            if not isinstance(content, dict):
                raise self._wrong(each, f"'{_MERGE}' takes in mappings alone. Name one with *")
            yield content

    def _wrong(self, node: yaml.Node, cause: str) -> ConfigError:
        return ConfigError(f"{self.file}, line {node.start_mark.line + 1}: {cause}.")


def _is_plain(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style  # quoted and block texts have one
