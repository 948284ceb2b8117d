# shellcheck shell=bash

export NIX_CONFIG='build-users-group ='
