#include "guest/terminal.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

namespace sandy::guest {

bool terminal_ends::open(window_size size) {
  // As posix_openpt does, but never blocking from the start: what lies at this path is the sandbox's own
  // affair, and only a real master answers the requests below.
  master.reset(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!master)
    return false;
  int locked = 0;
  if (::ioctl(master.get(), TIOCSPTLCK, &locked) != 0)
    return false;
  // By the master instead of by a path, which would be looked up in what the sandbox has mounted.
  program.reset(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  return program && set_window(master.get(), size);
}

bool set_window(int master, window_size size) {
  winsize wanted{};
  wanted.ws_col = size.columns;
  wanted.ws_row = size.rows;
  return ::ioctl(master, TIOCSWINSZ, &wanted) == 0;
}

} // namespace sandy::guest
