"""`python -m app` is `hilum`."""

from app.cli import main

if __name__ == "__main__":
    main()
