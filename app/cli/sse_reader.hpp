#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sandy::cli {

struct sse_event {
  std::string name; ///< "message" when the stream names none
  std::string data; ///< several data lines are joined with LF
};

/// Takes an event stream apart, as it comes in pieces of any size. See the WHATWG HTML standard, section 9.2.
class sse_reader {
public:
  /// The events that this piece completes.
  std::vector<sse_event> feed(std::string_view bytes);

private:
  void take_line(std::string_view line, std::vector<sse_event>& done);

  std::string partial_; ///< the line that has not ended yet
  sse_event next_;
  bool has_data_ = false;
  bool after_return_ = false; ///< the last line ended with CR: an LF that follows belongs to it
};

} // namespace sandy::cli
