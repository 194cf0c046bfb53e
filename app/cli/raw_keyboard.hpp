#pragma once

#include <termios.h>

#include <cstdint>
#include <optional>

namespace sandy::cli {

/// While it lives, every key goes to the program as it is typed, also Ctrl-C. What the terminal was set to
/// before comes back with its end. Does nothing where standard input is no terminal.
class raw_keyboard {
public:
  raw_keyboard();
  raw_keyboard(const raw_keyboard&) = delete;
  raw_keyboard& operator=(const raw_keyboard&) = delete;
  ~raw_keyboard();

private:
  std::optional<termios> before_;
};

struct terminal_window {
  std::uint16_t columns = 0;
  std::uint16_t rows = 0;
};

/// How many characters our terminal shows; none: there is none, or it does not know.
std::optional<terminal_window> window_size();

} // namespace sandy::cli
