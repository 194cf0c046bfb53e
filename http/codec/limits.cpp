#include "http/codec/limits.hpp"

#include "http/codec/fields.hpp"

namespace sandy::http::codec {

nlohmann::json to_json(const tenant_id& tenant, const tenant_limits& limits) {
  return {{"tenant", tenant.value},
          {"requests_per_second", limits.requests_per_second},
          {"request_burst", limits.request_burst},
          {"creations_per_minute", limits.creations_per_minute},
          {"creations_per_hour", limits.creations_per_hour},
          {"sandboxes", limits.sandboxes},
          {"streams", limits.streams},
          {"memory_bytes", limits.memory_bytes}};
}

result<tenant_limits> parse_limits(const nlohmann::json& body, const tenant_limits& present) {
  constexpr std::int64_t most_of_a_count = UINT32_MAX;
  constexpr std::int64_t most_bytes = std::int64_t{1} << 53; // what every JSON parser keeps exactly
  field_reader fields{body};
  auto wanted = present;
  auto read = [&fields](spellings names, std::int64_t most, std::uint64_t& into) {
    if (auto value = fields.whole(names, 0, most))
      into = static_cast<std::uint64_t>(*value);
  };
  read({"requests_per_second", "requestsPerSecond"}, most_of_a_count, wanted.requests_per_second);
  read({"request_burst", "requestBurst"}, most_of_a_count, wanted.request_burst);
  read({"creations_per_minute", "creationsPerMinute"}, most_of_a_count, wanted.creations_per_minute);
  read({"creations_per_hour", "creationsPerHour"}, most_of_a_count, wanted.creations_per_hour);
  read({"sandboxes"}, most_of_a_count, wanted.sandboxes);
  read({"streams"}, most_of_a_count, wanted.streams);
  read({"memory_bytes", "memoryBytes"}, most_bytes, wanted.memory_bytes);
  if (fields.failed())
    return fields.error();
  return wanted;
}

} // namespace sandy::http::codec
