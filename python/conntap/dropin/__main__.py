"""`python -m conntap.dropin`: the same as the script `conntap-conntrack`."""

from conntap.dropin import main

if __name__ == "__main__":
    raise SystemExit(main())
