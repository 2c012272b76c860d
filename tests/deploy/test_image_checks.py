"""What `make image-check` holds against an image without starting it. That it refuses the rest was tried on images with planted defects."""

from typing import Any

import pytest

from deploy.image import check_settings, check_size

MADE_OF = {"revision": "abc", "version": "1.2.0"}
LABELS = ("title", "description", "licenses", "version", "revision", "source")


NAMED = {f"org.opencontainers.image.{name}": MADE_OF.get(name, "abc") for name in LABELS}


def sound(**changed: Any) -> dict[str, Any]:
    return {
        "User": "10001:10001",
        "Healthcheck": {"Test": ["CMD", "true"]},
        "StopSignal": "SIGTERM",
        "Volumes": {"/var/lib/evergreen": {}},
        "Labels": NAMED,
        **changed,
    }


def test_an_image_that_is_as_it_should_be_passes(capsys: pytest.CaptureFixture[str]):
    check_settings(sound(), MADE_OF)
    assert "FAIL" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "changed",
    [
        {"User": ""},
        {"User": "0:0"},
        {"User": "evergreen"},
        {"Healthcheck": None},
        {"StopSignal": "SIGKILL"},
        {"Volumes": None},
        {"Labels": {name: value for name, value in NAMED.items() if not name.endswith(".title")}},
        {"Labels": {f"org.opencontainers.image.{name}": "" for name in LABELS}},
        {"Labels": NAMED | {"org.opencontainers.image.revision": "another commit"}},
        {"Labels": NAMED | {"org.opencontainers.image.version": "unknown"}},
    ],
    ids=str,
)
def test_one_that_is_not_is_refused(changed: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        check_settings(sound(**changed), MADE_OF)
    assert ended.value.code == 1
    assert "FAIL" in capsys.readouterr().out


def test_the_size_is_held_against_the_limit_and_another_base_is_not_held_against_it():
    check_size(1_100, 0)
    check_size(1_300, 350)
    for whole, base in ((1_101, 0), (1_301, 350)):
        with pytest.raises(SystemExit):
            check_size(whole, base)
