#include "store/record_codec.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>
#include <nlohmann/json.hpp>

#include <limits>
#include <stdexcept>
#include <string>

namespace sandy {

namespace {

/// Reads a column as a number of type T. @throws std::runtime_error when it is not one.
template <class T>
T number(const SQLite::Column& column) {
  auto value = column.getInt64();
  if constexpr (sizeof(T) < sizeof(value)) {
    if (value < static_cast<std::int64_t>(std::numeric_limits<T>::min()) ||
        value > static_cast<std::int64_t>(std::numeric_limits<T>::max()))
      throw std::runtime_error(std::string(column.getName()) + " is out of range: " + std::to_string(value));
  }
  return static_cast<T>(value); // 64-bit unsigned values were stored as the signed number of the same bits
}

template <class Enum>
Enum enumerator(const SQLite::Column& column, Enum last) {
  auto value = column.getInt64();
  if (value < 0 || value > static_cast<std::int64_t>(last))
    throw std::runtime_error(std::string(column.getName()) + " is out of range: " + std::to_string(value));
  return static_cast<Enum>(value);
}

template <class T>
T from_json(const SQLite::Column& column) {
  try {
    return nlohmann::json::parse(column.getString()).get<T>();
  } catch (const nlohmann::json::exception&) {
    throw std::runtime_error(std::string(column.getName()) + " is not what a server writes");
  }
}

std::vector<std::uint16_t> ports(const SQLite::Column& column) {
  std::vector<std::uint16_t> all;
  for (auto port :
       from_json<std::vector<std::int64_t>>(column)) { // the JSON library would cut larger numbers silently
    if (port < 0 || port > std::numeric_limits<std::uint16_t>::max())
      throw std::runtime_error(std::string(column.getName()) + " is out of range: " + std::to_string(port));
    all.push_back(static_cast<std::uint16_t>(port));
  }
  return all;
}

nlohmann::json policy_json(const network_policy& policy) {
  return {{"mode", to_string(policy.mode)},
          {"allow", policy.allow},
          {"deny", policy.deny},
          {"max_bytes", policy.max_bytes}};
}

network_policy read_policy(const nlohmann::json& from) {
  auto name = from.at("mode").get<std::string>();
  auto mode = name == to_string(network_mode::usual) ? network_mode::usual : network_mode_of(name);
  if (!mode)
    throw std::runtime_error("network names an unknown mode");
  return {*mode, from.at("allow").get<std::vector<std::string>>(),
          from.at("deny").get<std::vector<std::string>>(), from.at("max_bytes").get<std::uint64_t>()};
}

void read_network(const SQLite::Column& column, sandbox_record& record) {
  auto text = column.getString();
  if (text.empty()) { // of a server that gave sandboxes no network
    record.info.network.mode = network_mode::none;
    return;
  }
  try {
    auto all = nlohmann::json::parse(text);
    record.info.network = read_policy(all);
    for (const auto& each : all.at("bounds"))
      record.network_bounds.push_back({sandbox_id{each.at("from").get<std::string>()}, read_policy(each)});
  } catch (const nlohmann::json::exception&) {
    throw std::runtime_error("network is not what a server writes");
  }
}

std::string secrets_text(const sandbox_secrets& secrets) {
  if (secrets.all.empty())
    return {};
  auto list = nlohmann::json::array();
  for (const auto& [given, placeholder] : secrets.all)
    list.push_back({{"name", given.name},
                    {"value", given.value.bytes},
                    {"hosts", given.hosts},
                    {"allow_http", given.allow_http},
                    {"placeholder", placeholder}});
  return nlohmann::json{{"all", std::move(list)},
                        {"authority_key", secrets.authority.key.bytes},
                        {"authority", secrets.authority.certificate}}
      .dump();
}

sandbox_secrets read_secrets(const SQLite::Column& column) {
  sandbox_secrets secrets;
  auto text = column.getString();
  if (text.empty())
    return secrets;
  try {
    auto stored = nlohmann::json::parse(text);
    for (const auto& each : stored.at("all")) {
      secret given{each.at("name").get<std::string>(),
                   {each.at("value").get<std::string>()},
                   each.at("hosts").get<std::vector<std::string>>(),
                   each.at("allow_http").get<bool>()};
      secrets.all.push_back({std::move(given), each.at("placeholder").get<std::string>()});
    }
    secrets.authority.key.bytes = stored.at("authority_key").get<std::string>();
    secrets.authority.certificate = stored.at("authority").get<std::string>();
  } catch (const nlohmann::json::exception&) {
    throw std::runtime_error("secrets is not what a server writes"); // without the words: they may repeat it
  }
  return secrets;
}

} // namespace

std::string network_text(const network_policy& policy, const std::vector<network_bound>& bounds) {
  auto all = policy_json(policy);
  all["bounds"] = nlohmann::json::array();
  for (const auto& each : bounds) {
    auto bound = policy_json(each.policy);
    bound["from"] = each.from.value;
    all["bounds"].push_back(std::move(bound));
  }
  return all.dump();
}

void bind_record(SQLite::Statement& statement, const sandbox_record& record) {
  const auto& info = record.info;
  int next = 1;
  auto add = [&](const auto& value) { statement.bind(next++, value); };
  auto add_number = [&](auto value) { statement.bind(next++, static_cast<std::int64_t>(value)); };
  add(info.id.value);
  add_number(record.uid_slot);
  add(info.tenant.value);
  add_number(info.state);
  add(info.flavor);
  add(info.image);
  add_number(info.limits.memory_bytes);
  add_number(info.limits.cpu_millis);
  add_number(info.limits.pids);
  add_number(info.limits.disk_bytes);
  add_number(info.priority);
  add_number(info.preemptable);
  add(nlohmann::json(info.expose_ports).dump());
  add(info.upstream);
  add(info.workdir);
  add(nlohmann::json(record.env).dump());
  add_number(info.created_at);
  add_number(info.expires_at);
  add_number(info.ttl_seconds);
  add(info.parent.value);
  add_number(info.idle_timeout_seconds);
  add_number(info.pause_on_idle);
  add_number(info.paused);
  add(record.layer.value);
  add(network_text(info.network, record.network_bounds));
  add_number(record.network_bytes);
  add(nlohmann::json(info.private_ports).dump());
  add(secrets_text(record.secrets));
  add(info.runtime);
  add_number(info.docker_socket);
}

sandbox_record read_record(SQLite::Statement& row) {
  sandbox_record record;
  auto& info = record.info;
  int next = 0;
  auto column = [&] { return row.getColumn(next++); };
  info.id.value = column().getString();
  record.uid_slot = number<std::uint32_t>(column());
  info.tenant.value = column().getString();
  info.state = enumerator(column(), sandbox_state::gone);
  info.flavor = column().getString();
  info.image = column().getString();
  info.limits.memory_bytes = number<std::uint64_t>(column());
  info.limits.cpu_millis = number<std::uint32_t>(column());
  info.limits.pids = number<std::uint32_t>(column());
  info.limits.disk_bytes = number<std::uint64_t>(column());
  info.priority = number<std::uint8_t>(column());
  info.preemptable = number<std::uint8_t>(column()) != 0;
  info.expose_ports = ports(column());
  info.upstream = column().getString();
  info.workdir = column().getString();
  record.env = from_json<environment>(column());
  info.created_at = column().getInt64();
  info.expires_at = column().getInt64();
  info.ttl_seconds = number<std::uint32_t>(column());
  info.parent.value = column().getString();
  info.idle_timeout_seconds = number<std::uint32_t>(column());
  info.pause_on_idle = number<std::uint8_t>(column()) != 0;
  info.paused = enumerator(column(), pause_cause::idle);
  record.layer.value = column().getString();
  read_network(column(), record);
  record.network_bytes = number<std::uint64_t>(column());
  info.private_ports = ports(column());
  record.secrets = read_secrets(column());
  info.secrets = uses_of(record.secrets);
  info.runtime = column().getString();
  info.docker_socket = number<std::uint8_t>(column()) != 0;
  return record;
}

tombstone read_tombstone(SQLite::Statement& row) {
  tombstone stone;
  stone.id.value = row.getColumn(0).getString();
  stone.tenant.value = row.getColumn(1).getString();
  stone.reason = enumerator(row.getColumn(2), end_reason::idle);
  stone.ended_at = row.getColumn(3).getInt64();
  stone.parent.value = row.getColumn(4).getString();
  stone.created_at = row.getColumn(5).getInt64();
  return stone;
}

} // namespace sandy
