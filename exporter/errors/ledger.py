"""Errors of the ledger."""

from .base import ErrorReason, ExporterError


class LedgerError(ExporterError):
    """The ledger cannot be opened, read or written."""

    reason = ErrorReason.LEDGER
    remedy = "Check the path of --ledger, its permissions and the free disk space."


class LedgerInUse(LedgerError):
    """Another process has the ledger open."""

    remedy = "Stop the other exporter, or set --ledger to another path."


class LedgerHeld(LedgerInUse):
    """The same, for a command about the file."""

    remedy = "Stop the exporter for this command; it catches up when it starts again."


class LedgerAbsent(LedgerError):
    """There is no file for a command to work on."""

    remedy = "Check the path of --ledger; serve creates a ledger when it starts."


class LedgerForeign(LedgerError):
    """The file is not a ledger, or lost its tables."""

    remedy = "Set --ledger to another path; or move the file away to start with an empty ledger."


class LedgerOfAnotherSource(LedgerForeign):
    """The ledger was made for another FHIR server, or another selection of Tasks."""

    remedy = (
        "Correct --fhir.url and the selection, or set --ledger to another path for this server. "
        "If the same server only changed its address, start with --ledger.rebind."
    )


class LedgerNotRebound(LedgerError):
    """The ledger was left with the server it belongs to."""

    remedy = (
        "Nothing was changed. If it is the same server, start again when it answers and holds all of its Tasks; "
        "for another one, set --ledger to another path."
    )


class LedgerBackupFailed(LedgerError):
    """The copy could not be made."""

    remedy = "Choose a new file in a folder that this user can write, with room for a copy of the ledger."


class LedgerOutdated(LedgerError):
    """The ledger has the schema of an earlier version."""

    remedy = "Back it up, then start serve with this version: it migrates the ledger."


class LedgerTooNew(LedgerError):
    """The ledger's schema is newer than this version of the exporter."""

    remedy = "Install the version that wrote the ledger, or a later one."


class LedgerDamaged(LedgerError):
    """The file was a ledger, but can no longer be read; opening it sets it aside."""

    remedy = "Check the disk. serve sets the file aside and creates a new ledger; its counters start at 0."


class LedgerFailed(LedgerError):
    """Reading or writing failed at run time: disk full, I/O error, damage."""


class LedgerUnreadable(LedgerFailed):
    """A table is missing, or holds what no version of this schema writes, or only a later one."""

    remedy = (
        "Install the version that wrote the ledger; if it is this one, the file is damaged: restore a backup, or move "
        "it and its -wal away to start with an empty ledger."
    )


class LedgerLost(LedgerError):
    """The file is no longer at its path. The open one works until the process ends, then it may be gone."""

    remedy = (
        "The exporter goes on counting in the open file until it ends. If the ledger was moved, stop the exporter, "
        "move the file back and start again; if it was deleted, restart when you can: counters then start at 0."
    )


class LedgerReplaced(LedgerLost):
    """Another file is at the path, perhaps the ledger of another exporter."""

    remedy = (
        "The exporter goes on counting in the file that it opened. Stop any other exporter that uses this path; then "
        "stop this one, put the right file there without a -wal of another ledger beside it, and start again."
    )


class LedgerWalLost(LedgerError):
    """The `-wal` beside the ledger is gone, and with it, at a power cut or kill, the last commits."""

    remedy = (
        "Restart the exporter now, by SIGTERM: as it ends, it writes everything into the ledger, and nothing is lost. "
        "If it is killed instead, the last commits are lost."
    )


class LedgerReadOnly(LedgerError):
    """The ledger cannot be written any more, or not by the next process."""

    remedy = (
        "Make the ledger and its file system writable again for the exporter's user (mode 0600); if the system has "
        "mounted the disk read-only, check the disk."
    )


class LedgerUnseen(LedgerError):
    """The system refuses to say what is at the path."""

    remedy = "Check the permissions of the folder of --ledger, and the disk or file server that it is on."
