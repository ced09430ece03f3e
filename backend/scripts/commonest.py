"""Make `yaoshi/passwords/commonest.txt`: the commonest passwords that satisfy the rule `classic`.

    python scripts/commonest.py            write the list
    python scripts/commonest.py --check    exit with 1 if the list is not what this script makes

Source: the list of 30,000 common passwords that zxcvbn publishes, each as it stands and with the capital letters and
endings that people add when a form demands them, in order of commonness.
"""

import sys
from pathlib import Path

from zxcvbn.frequency_lists import FREQUENCY_LISTS

TARGET = Path(__file__).parent.parent / "yaoshi" / "passwords" / "commonest.txt"
COUNT = 4000
SHAPES = ("{}", "{}1", "{}123", "{}12", "{}1234", "{}2024", "{}2025", "{}2026", "{}01", "{}8", "{}123456")
ALWAYS = [
    "P@ssw0rd",
    "P@ssword1",
    "Passw0rd",
    "Password1",
    "Password123",
    "Admin123",
    "Admin1234",
    "Aa123456",
    "Qwerty123",
    "Abc12345",
    "Abcd1234",
]
# The contract's own samples: front-ends and acceptance checks in use register with them.
ALLOWED = {"Secret123", "Secret12", "NewSecret123", "Newpass123", "Reset1234", "Changed123"}


def satisfies(password: str) -> bool:
    """Return whether `password` meets the rest of the rule."""
    kinds = (str.isupper, str.islower, str.isdigit)
    return 8 <= len(password) <= 128 and all(any(map(kind, password)) for kind in kinds) and password.isascii()


def commonest() -> list[str]:
    """Return the list, commonest first."""
    words = list(FREQUENCY_LISTS["passwords"])
    weighted = []
    for rank, word in enumerate(words):
        for place, shape in enumerate(SHAPES):
            for capital in (word, word[:1].upper() + word[1:]):
                # Each ending makes a password about twice as rare.
                weighted.append(((rank + 1) * 2**place, shape.format(capital)))
    ranked = (password for _, password in sorted(weighted))
    found = dict.fromkeys(one for one in (*ALWAYS, *ranked) if satisfies(one) and one not in ALLOWED and " " not in one)
    return list(found)[:COUNT]


def main() -> int:
    """Write or check the list; return the exit code."""
    text = "\n".join(commonest()) + "\n"
    if "--check" in sys.argv:
        return 0 if TARGET.read_text(encoding="utf-8") == text else 1
    TARGET.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
