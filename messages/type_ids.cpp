#include "messages/type_ids.hpp"

#include <caf/actor_system_config.hpp>

namespace sandy {

void register_messages(caf::actor_system_config& config) {
  config.add_message_types<caf::id_block::sandy>();
  config.add_error_category(
      caf::atom("sandy"), [](std::uint8_t code, caf::atom_value, const caf::message& context) -> std::string {
        auto text = to_string(static_cast<errc>(code));
        if (context.match_elements<std::string>())
          text += ": " + context.get_as<std::string>(0);
        return text;
      });
}

} // namespace sandy
