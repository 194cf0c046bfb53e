#include "agents/output_reader.hpp"

#include <string>

namespace sandy::agents {

output_reader::output_reader(const definition& agent)
    : dialect_(make_dialect(agent)) {}

line_splitter::receiver output_reader::into(std::vector<event>& events) {
  return [this, &events](line_splitter::line one) {
    if (one.whole) {
      dialect_->read(one.text, events);
    } else {
      if (one.first)
        events.push_back(output{"[a line of more than 1 MiB follows in pieces]"});
      events.push_back(output{std::string(one.text)});
    }
  };
}

std::vector<event> output_reader::read(std::string_view bytes) {
  std::vector<event> events;
  lines_.feed(bytes, into(events));
  return events;
}

std::vector<event> output_reader::finish() {
  std::vector<event> events;
  lines_.finish(into(events));
  dialect_->finish(events);
  return events;
}

} // namespace sandy::agents
