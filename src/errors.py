"""One kind of error for a user's mistakes, and the way every command ends on it."""

import errno
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from difflib import get_close_matches


class UserError(Exception):
    """A user error: the message names the file or key, what was found, what was expected and how to fix it.

    Commands print it without a traceback and end with status 2. Everything else is a bug.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known word, or an empty string."""
    match = get_close_matches(str(word), [str(k) for k in known], n=1, cutoff=0.5)
    return f"; did you mean '{match[0]}'?" if match else ""


def listing(lines: list[str], limit: int = 20) -> str:
    """Join ``lines`` one below the other, indented, and count what is left out after ``limit``."""
    shown = "\n".join(f"  {line}" for line in lines[:limit])
    rest = len(lines) - limit
    return f"{shown}\n  ... and {rest} more" if rest > 0 else shown


def run_command(main: Callable[[], None]) -> None:
    """Run a command's ``main``: exit status 2 and a short message on a `UserError` or full disk, 130 on Ctrl-C."""
    try:
        main()
    except UserError as error:
        _complain(f"error: {error}")
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _complain(f"error: {error.filename or 'writing'}: {error.strerror}; make room and try again")
        sys.exit(2)
    except KeyboardInterrupt:
        _complain("interrupted")
        sys.exit(130)


def _complain(message: str) -> None:
    """Print a message, unless it goes to a full disk itself: the status tells as well."""
    with suppress(OSError):
        print(message, file=sys.stderr)
