"""For all tests: what nohup and background shells ignore, some tests send, and their processes would inherit that."""

import signal

import impasto  # noqa: F401  # before any test imports torch: how its threads wait is settled then

for number, handler in ((signal.SIGINT, signal.default_int_handler), (getattr(signal, "SIGHUP", None), signal.SIG_DFL)):
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)
