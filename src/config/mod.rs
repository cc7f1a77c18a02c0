//! Configuration files: built in < system < user < environment < options.
