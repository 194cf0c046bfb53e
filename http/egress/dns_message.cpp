#include "http/egress/dns_message.hpp"

#include <arpa/nameser.h>
#include <resolv.h>

#include <algorithm>
#include <cstring>

namespace sandy::http::egress {

namespace {

constexpr std::size_t head_bytes = 12, least_datagram_bytes = 512;
constexpr std::size_t most_aliases = 8, most_answers = 64;
/// What an answer says about itself is believed within these, in seconds.
constexpr std::uint32_t longest_life = 3600;

caf::error no_question() { return fail(errc::invalid_argument, "No question for a name"); }
caf::error no_answer() { return fail(errc::upstream_error, "The name server's answer makes no sense"); }

void put16(dns_bytes& to, unsigned value) {
  to.push_back(static_cast<std::uint8_t>(value >> 8));
  to.push_back(static_cast<std::uint8_t>(value));
}

void put32(dns_bytes& to, std::uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}

/// @param name canonical: its labels fit
void put_name(dns_bytes& to, std::string_view name) {
  while (!name.empty()) {
    auto label = name.substr(0, name.find('.'));
    to.push_back(static_cast<std::uint8_t>(label.size()));
    to.insert(to.end(), label.begin(), label.end());
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  to.push_back(0);
}

void put_head(dns_bytes& to, std::uint16_t id, unsigned flags, std::size_t questions, std::size_t answers) {
  put16(to, id);
  put16(to, flags);
  put16(to, static_cast<unsigned>(questions));
  put16(to, static_cast<unsigned>(answers));
  put16(to, 0);
  put16(to, 0);
}

void put_record(dns_bytes& to, std::string_view name, unsigned type, std::uint32_t ttl,
                std::span<const std::uint8_t> data) {
  put_name(to, name);
  put16(to, type);
  put16(to, ns_c_in);
  put32(to, std::min(ttl, longest_life));
  put16(to, static_cast<unsigned>(data.size()));
  to.insert(to.end(), data.begin(), data.end());
}

std::string canonical_or_empty(const char* name) {
  auto found = canonical_domain(name);
  return found ? std::move(*found) : std::string{};
}

/// The name at `at` inside a message. Empty for what is no host name.
std::string name_at(const ns_msg& message, const unsigned char* at) {
  char text[NS_MAXDNAME]{};
  if (::ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), at, text, sizeof text) < 0)
    return {};
  return canonical_or_empty(text);
}

} // namespace

result<dns_question> read_question(std::span<const std::uint8_t> bytes) {
  ns_msg message;
  if (bytes.size() < head_bytes ||
      ::ns_initparse(bytes.data(), static_cast<int>(bytes.size()), &message) != 0)
    return no_question();
  if (ns_msg_getflag(message, ns_f_qr) != 0 || ns_msg_getflag(message, ns_f_opcode) != ns_o_query ||
      ns_msg_count(message, ns_s_qd) != 1)
    return no_question();
  ns_rr record;
  if (::ns_parserr(&message, ns_s_qd, 0, &record) != 0 || ns_rr_class(record) != ns_c_in)
    return no_question();
  dns_question question;
  question.id = ns_msg_id(message);
  question.recursion_desired = ns_msg_getflag(message, ns_f_rd) != 0;
  question.name = canonical_or_empty(ns_rr_name(record));
  question.type = ns_rr_type(record);
  // Written anew: the name may have been a pointer, and is repeated with its own capitals (RFC 1035, 4.1.2).
  unsigned char name[NS_MAXCDNAME];
  if (::ns_name_pton(ns_rr_name(record), name, sizeof name) < 0)
    return no_question();
  for (const auto* at = name; *at != 0; at += *at + 1)
    question.text.insert(question.text.end(), at, at + *at + 1);
  question.text.push_back(0);
  put16(question.text, question.type);
  put16(question.text, ns_c_in);
  for (int i = 0; i < ns_msg_count(message, ns_s_ar); ++i)
    if (::ns_parserr(&message, ns_s_ar, i, &record) == 0 && ns_rr_type(record) == ns_t_opt)
      question.answer_bytes = static_cast<std::uint16_t>(std::clamp<std::size_t>(
          static_cast<std::size_t>(ns_rr_class(record)), least_datagram_bytes, most_datagram_bytes));
  return question;
}

bool asks_for_ipv4(const dns_question& question) noexcept { return question.type == ns_t_a; }
bool asks_for_address(const dns_question& question) noexcept {
  return question.type == ns_t_a || question.type == ns_t_aaaa;
}

dns_bytes write_question(std::uint16_t id, std::string_view name, bool ipv4) {
  constexpr unsigned recursion_desired = 0x0100;
  dns_bytes message;
  put_head(message, id, recursion_desired, 1, 0);
  message[11] = 1; // one more record: what size of answer we take (RFC 6891)
  put_name(message, name);
  put16(message, ipv4 ? ns_t_a : ns_t_aaaa);
  put16(message, ns_c_in);
  message.push_back(0);
  put16(message, ns_t_opt);
  put16(message, most_datagram_bytes);
  put32(message, 0);
  put16(message, 0);
  return message;
}

result<dns_answer> read_answer(std::span<const std::uint8_t> bytes, std::uint16_t id, std::string_view name,
                               bool ipv4) {
  ns_msg message;
  ns_rr record;
  if (bytes.size() < head_bytes ||
      ::ns_initparse(bytes.data(), static_cast<int>(bytes.size()), &message) != 0)
    return no_answer();
  const auto type = ipv4 ? ns_t_a : ns_t_aaaa;
  if (ns_msg_id(message) != id || ns_msg_getflag(message, ns_f_qr) != 1 ||
      ns_msg_count(message, ns_s_qd) != 1 || ::ns_parserr(&message, ns_s_qd, 0, &record) != 0 ||
      canonical_or_empty(ns_rr_name(record)) != name || ns_rr_type(record) != type ||
      ns_rr_class(record) != ns_c_in)
    return no_answer();
  dns_answer answer;
  answer.cut = ns_msg_getflag(message, ns_f_tc) != 0;
  const auto code = ns_msg_getflag(message, ns_f_rcode);
  answer.code = code == ns_r_noerror    ? dns_code::ok
                : code == ns_r_nxdomain ? dns_code::no_such_name
                                        : dns_code::failed;
  const auto count = std::min<int>(ns_msg_count(message, ns_s_an), most_answers);
  std::string current{name};
  for (bool found = true; found && answer.aliases.size() < most_aliases;) {
    found = false;
    for (int i = 0; i < count && !found; ++i) {
      if (::ns_parserr(&message, ns_s_an, i, &record) != 0)
        return no_answer();
      if (ns_rr_type(record) != ns_t_cname || ns_rr_class(record) != ns_c_in ||
          canonical_or_empty(ns_rr_name(record)) != current)
        continue;
      auto target = name_at(message, ns_rr_rdata(record));
      if (target.empty())
        return no_answer();
      answer.aliases.push_back({current, target, ns_rr_ttl(record)});
      current = std::move(target);
      found = true;
    }
  }
  const std::size_t address_bytes = ipv4 ? 4 : 16;
  for (int i = 0; i < count; ++i) {
    if (::ns_parserr(&message, ns_s_an, i, &record) != 0)
      return no_answer();
    if (ns_rr_type(record) != type || ns_rr_class(record) != ns_c_in ||
        ns_rr_rdlen(record) != address_bytes || canonical_or_empty(ns_rr_name(record)) != current)
      continue;
    network_address value{};
    if (ipv4)
      value[10] = value[11] = 0xff;
    std::memcpy(value.data() + (value.size() - address_bytes), ns_rr_rdata(record), address_bytes);
    answer.addresses.push_back({current, value, ns_rr_ttl(record)});
  }
  return answer;
}

dns_bytes write_answer(const dns_question& question, const dns_answer& answer, std::size_t most_bytes) {
  constexpr unsigned is_answer = 0x8000, recursion_available = 0x0080, cut = 0x0200;
  const auto flags = is_answer | recursion_available | (question.recursion_desired ? 0x0100u : 0u) |
                     static_cast<unsigned>(answer.code);
  dns_bytes message;
  const auto count = answer.aliases.size() + answer.addresses.size();
  put_head(message, question.id, flags, 1, count);
  message.insert(message.end(), question.text.begin(), question.text.end());
  for (const auto& each : answer.aliases) {
    dns_bytes target;
    put_name(target, each.target);
    put_record(message, each.name, ns_t_cname, each.ttl_seconds, target);
  }
  for (const auto& each : answer.addresses) {
    const auto v4 = is_ipv4(each.value);
    put_record(message, each.name, v4 ? ns_t_a : ns_t_aaaa, each.ttl_seconds,
               std::span{each.value}.subspan(v4 ? 12 : 0));
  }
  if (message.size() <= most_bytes)
    return message;
  message.clear();
  put_head(message, question.id, flags | cut, 1, 0);
  message.insert(message.end(), question.text.begin(), question.text.end());
  return message;
}

dns_bytes write_refusal(std::span<const std::uint8_t> message, dns_code code) {
  if (message.size() < head_bytes || (message[2] & 0x80) != 0) // answers are not answered
    return {};
  dns_bytes refusal(message.begin(), message.begin() + 2);
  refusal.push_back(static_cast<std::uint8_t>(0x80 | (message[2] & 0x79)));
  refusal.push_back(static_cast<std::uint8_t>(code));
  refusal.resize(head_bytes);
  return refusal;
}

} // namespace sandy::http::egress
