"""The pinned host keys and our own private key, read from files that OpenSSH's own tools made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from billing_pipeline.delivery.transports.ssh_keys import known_hosts_name, load_private_key, pinned_host_keys
from billing_pipeline.problems import UsageError
from billing_pipeline_tests.support.openssh import generate_key
from billing_pipeline_tests.support.requires import require_program


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Public keys by kind, as `type base64`."""
    folder = tmp_path_factory.mktemp("keys")
    kinds = ("ed25519", "ecdsa", "rsa")
    paths = {kind: generate_key(folder / kind, kind) for kind in kinds}
    paths["other"] = generate_key(folder / "other", "ed25519")
    return {kind: " ".join(path.with_suffix(".pub").read_text().split()[:2]) for kind, path in paths.items()}


def known_hosts(folder: Path, *lines: str) -> Path:
    path = folder / "known_hosts"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def kinds_pinned(path: Path, host: str = "sftp.example.com", port: int = 22) -> list[str]:
    return [key.get_name() for key in pinned_host_keys(path, host, port)]


def test_another_port_than_22_has_a_name_of_its_own() -> None:
    assert known_hosts_name("SFTP.example.com", 22) == "sftp.example.com"
    assert known_hosts_name("SFTP.example.com", 2222) == "[sftp.example.com]:2222"


def test_all_kinds_of_keys_of_the_host_are_pinned_and_no_others(tmp_path: Path, keys: dict[str, str]) -> None:
    path = known_hosts(
        tmp_path,
        "# the inbox",
        "",
        f"sftp.example.com,192.0.2.7 {keys['ed25519']} comment",
        f"SFTP.example.com  {keys['ecdsa']}",
        f"sftp.example.com {keys['rsa']}",
        f"sftp.example.com {keys['other']}",
        f"elsewhere.example.com {keys['ed25519']}",
        f"[sftp.example.com]:2222 {keys['rsa']}",
        "sftp.example.com sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
        "nonsense",
    )
    assert kinds_pinned(path) == ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", "ssh-ed25519"]
    assert kinds_pinned(path, "192.0.2.7") == ["ssh-ed25519"]
    assert kinds_pinned(path, port=2222) == ["ssh-rsa"]
    assert kinds_pinned(path, "unknown.example.com") == []


def test_hashed_names_are_found(tmp_path: Path, keys: dict[str, str]) -> None:
    path = known_hosts(tmp_path, f"[sftp.example.com]:2222 {keys['ed25519']}")
    ssh_keygen = require_program("ssh-keygen", package="openssh-client")
    subprocess.run([ssh_keygen, "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    assert "sftp.example.com" not in path.read_text()
    assert kinds_pinned(path, port=2222) == ["ssh-ed25519"]
    assert kinds_pinned(path, port=2223) == []


def test_a_revoked_key_is_not_pinned_and_an_authority_is_not_a_pin(
    tmp_path: Path, keys: dict[str, str]
) -> None:
    path = known_hosts(
        tmp_path,
        f"sftp.example.com {keys['ed25519']}",
        f"sftp.example.com {keys['rsa']}",
        f"@revoked sftp.example.com {keys['ed25519']}",
        f"@cert-authority sftp.example.com {keys['ecdsa']}",
    )
    assert kinds_pinned(path) == ["ssh-rsa"]


def test_a_damaged_line_about_the_host_is_named(tmp_path: Path, keys: dict[str, str]) -> None:
    path = known_hosts(
        tmp_path, f"elsewhere {keys['rsa'][:-90]}", f"sftp.example.com {keys['ed25519'][:-20]}!!"
    )
    with pytest.raises(
        UsageError, match=r"BILLING_SFTP_KNOWN_HOSTS_FILE: line 2 of .* names sftp\.example\.com"
    ):
        pinned_host_keys(path, "sftp.example.com", 22)


def test_a_missing_known_hosts_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"BILLING_SFTP_KNOWN_HOSTS_FILE.*No such file"):
        pinned_host_keys(tmp_path / "absent", "sftp.example.com", 22)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("ed25519", ()), ("ecdsa", ()), ("rsa", ()), ("rsa", ("-m", "PEM")), ("ecdsa", ("-m", "PEM"))],
)
@pytest.mark.parametrize("passphrase", ["", "gehéim ✓"])
def test_private_keys_load_with_and_without_passphrase(
    tmp_path: Path, kind: str, options: tuple[str, ...], passphrase: str
) -> None:
    path = generate_key(tmp_path / "key", kind, passphrase=passphrase, options=options)
    key = load_private_key(path, passphrase or None)
    assert key.get_base64() == path.with_suffix(".pub").read_text().split()[1]
    assert key.can_sign()


def test_a_missing_passphrase_names_its_setting(tmp_path: Path) -> None:
    path = generate_key(tmp_path / "key", "ed25519", passphrase="geheim")
    with pytest.raises(UsageError, match="BILLING_SFTP_PRIVATE_KEY_PASSPHRASE"):
        load_private_key(path, None)


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_wrong_passphrase_is_said_and_not_shown(tmp_path: Path, kind: str) -> None:
    path = generate_key(tmp_path / "key", kind, passphrase="geheim")
    with pytest.raises(UsageError, match="BILLING_SFTP_PRIVATE_KEY_PASSPHRASE is right") as caught:
        load_private_key(path, "canary-falsch")
    assert "canary" not in str(caught.value)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("ssh-ed25519 AAAA public, not private\n")
    with pytest.raises(UsageError, match=r"not a key that can be used.*ssh-keygen"):
        load_private_key(path, None)
    with pytest.raises(UsageError, match="cannot read"):
        load_private_key(tmp_path / "absent", None)


@pytest.mark.parametrize(
    ("names", "is_revoked"),
    [
        ("*", True),
        ("*.example.com", True),
        ("SFTP.EXAMPLE.*", True),
        ("sftp.example.co?", True),
        ("other.example.com,*.example.com", True),
        ("*.example.org", False),
        ("*.example.com,!sftp.example.com", False),
        ("!sftp.example.com,*", False),
        ("sftp.example.com.evil.org", False),
        ("sftp?example.com", True),
    ],
)
def test_a_revoked_key_is_revoked_for_every_host_that_its_patterns_name(
    tmp_path: Path, keys: dict[str, str], names: str, is_revoked: bool
) -> None:
    """What OpenSSH means by it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): a pattern of them was once ignored."""
    path = known_hosts(tmp_path, f"sftp.example.com {keys['ed25519']}", f"@revoked {names} {keys['ed25519']}")
    assert kinds_pinned(path) == ([] if is_revoked else ["ssh-ed25519"])


def test_a_key_that_is_revoked_for_the_host_is_revoked_on_every_port(
    tmp_path: Path, keys: dict[str, str]
) -> None:
    path = known_hosts(
        tmp_path,
        f"[sftp.example.com]:2222 {keys['ed25519']}",
        f"@revoked sftp.example.com {keys['ed25519']}",
    )
    assert kinds_pinned(path, port=2222) == []
