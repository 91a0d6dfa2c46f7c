"""One kind of error for a user's mistakes, and the way every command ends on it."""

import errno
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from difflib import get_close_matches

# Of system errors that a user can mend; others are bugs.
MENDS: dict[int | None, str] = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EACCES: "allow it, or name another path,",
    errno.EPERM: "allow it, or name another path,",
    errno.EROFS: "name another path",
    errno.EISDIR: "remove the folder, or name another path,",
}


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
    """Run a command's ``main``: exit status 2 and a short message on a `UserError` or one of `MENDS`, 130 on Ctrl-C.

    A KeyboardInterrupt may name another signal (`src.signals.interruptible`): the status is then 128 and its number.
    """
    try:
        main()
    except UserError as error:
        _complain(f"error: {error}")
        sys.exit(2)
    except OSError as error:
        if error.errno not in MENDS:
            raise
        _complain(f"error: {error.filename or 'writing'}: {error.strerror}; {MENDS[error.errno]} and try again")
        sys.exit(2)
    except KeyboardInterrupt as interrupt:
        _complain("interrupted")
        sys.exit(128 + (interrupt.args[0] if interrupt.args else signal.SIGINT))


def _complain(message: str) -> None:
    """Print a message, unless it goes to a full disk itself: the status tells as well."""
    with suppress(OSError):
        print(message, file=sys.stderr)
