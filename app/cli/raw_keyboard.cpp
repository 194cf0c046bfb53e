#include "app/cli/raw_keyboard.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

namespace sandy::cli {

raw_keyboard::raw_keyboard() {
  termios found{};
  if (::tcgetattr(STDIN_FILENO, &found) != 0)
    return;
  before_ = found;
  ::cfmakeraw(&found);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &found);
}

raw_keyboard::~raw_keyboard() {
  if (before_)
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &*before_);
}

std::optional<terminal_window> window_size() {
  winsize found{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &found) != 0 || found.ws_col == 0 || found.ws_row == 0)
    return std::nullopt;
  return terminal_window{found.ws_col, found.ws_row};
}

} // namespace sandy::cli
