//! What is shipped fits the program: `make install`, the container images, the compose file, the workflows.
//!
//! No container is run here. Instead every flag, port, path, variable and name in those files is compared with what the
//! program's own help says, with the Makefile and with each other.

mod compose;
mod dockerfile;
mod files;
mod install;
mod program;
mod workflows;
