//! windlass deploys containers to a fleet of Docker hosts over plain SSH, and hauls a bad release back in.
