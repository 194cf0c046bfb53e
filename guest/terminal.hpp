#pragma once

#include "guest/protocol.hpp"
#include "runtime/unique_fd.hpp"

namespace sandy::guest {

using runtime::unique_fd;

/// Both ends of a pseudo-terminal of the sandbox's own devpts.
struct terminal_ends {
  unique_fd master;  ///< ours: what is written here is typed, what is read was printed. Never blocks
  unique_fd program; ///< the program's; closed after `master`
  /// @return false with errno: nothing is open, or not a terminal.
  bool open(window_size size);
};

/// Tells the terminal its size; what runs in its foreground gets SIGWINCH when that is news. @return false
/// with errno.
bool set_window(int master, window_size size);

} // namespace sandy::guest
