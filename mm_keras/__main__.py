"""`python -m mm_keras` is the command `mm-keras`."""

from mm_keras.cli import main

if __name__ == "__main__":
    main()
