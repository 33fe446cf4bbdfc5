"""`python -m devise` is the command `devise`."""

from devise.cli import main

raise SystemExit(main())
