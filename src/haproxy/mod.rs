//! HAProxy's Runtime API: types inside, text at the socket. Opens no socket.
