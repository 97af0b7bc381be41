// Mergegate's whole script. Every page works without it.
"use strict";
