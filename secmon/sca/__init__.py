"""Policies of Wazuh's SCA (4.x, 5.x) made into check files, as far as facts can answer. Nothing of a policy is run."""
