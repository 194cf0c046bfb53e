#include "http/platform/request.hpp"

#include "http/codec/fields.hpp"
#include "http/request_head.hpp"

#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>

#include <nlohmann/json.hpp>

#include <array>

namespace sandy::http::platform {

namespace {

/// Fields of a request that may leave the sandbox. All others stay: nobody knows which of them are
/// credentials, or say something about the connection.
constexpr std::array passed_fields{"Accept",     "Accept-Language",  "Content-Type", "Content-Language",
                                   "User-Agent", "X-Correlation-ID", "traceparent",  "tracestate"};

void append_field(std::string& to, std::string_view name, std::string_view value) {
  if (!value.empty())
    to.append(name).append(": ").append(value).append("\r\n");
}

bool is_idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" || method == "OPTIONS";
}

std::string in_query(std::string_view value) {
  return boost::urls::encode(value, boost::urls::unreserved_chars);
}

std::string query_of(const exchange& ex) {
  auto target = ex.head().target();
  auto mark = target.find('?');
  return mark == std::string_view::npos ? std::string{} : std::string{target.substr(mark + 1)};
}

/// The model that the service will read, whatever else the body names: it may decide the price.
std::string model_of(const nlohmann::json& body) {
  auto found = body.find("model");
  return found != body.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

/// Chat completions tell what a stream took when they are asked to. @returns whether there is something to
/// ask.
bool ask_for_usage(nlohmann::json& body) {
  auto stream = body.find("stream");
  if (stream == body.end() || !stream->is_boolean() || !stream->get<bool>())
    return false;
  auto& options = body["stream_options"];
  if (!options.is_object())
    options = nlohmann::json::object();
  options["include_usage"] = true;
  return true;
}

/// What the service is to tell of the tokens it takes, and for which model. It says itself what is wrong with
/// a body that is none.
void prepare_count(outgoing_request& made, const service_settings& rules) {
  if (!rules.count_tokens && !rules.include_usage)
    return;
  auto parsed = codec::parse_object(made.body);
  if (!parsed)
    return;
  made.model = model_of(*parsed);
  if (rules.include_usage && ask_for_usage(*parsed))
    made.body = parsed->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// What containers ask of a memory, as the memory service wants to be asked.
result<void> translate(outgoing_request& made, translation how) {
  auto parsed = codec::parse_object(made.body);
  if (!parsed)
    return std::move(parsed.error());
  codec::field_reader fields{*parsed};
  auto user = fields.text({"user_id", "userId"});
  if (!user)
    fields.missing("user_id");
  if (how == translation::memory_query) {
    auto prompt = fields.text({"prompt", "query", "text"});
    if (!prompt)
      fields.missing("prompt");
    if (fields.failed())
      return fields.error();
    made.method = "GET";
    made.target += "/memories/relevant?user_id=" + in_query(*user) + "&prompt=" + in_query(*prompt);
    made.body.clear();
    return caf::unit;
  }
  auto* conversation = fields.find({"conversation", "messages"});
  if (conversation == nullptr)
    fields.missing("conversation");
  if (fields.failed())
    return fields.error();
  nlohmann::json body{{"user_id", *user}, {"conversation", *conversation}};
  made.method = "POST";
  made.target += "/memories/extract";
  made.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return caf::unit;
}

} // namespace

result<outgoing_request> make_request(const exchange& ex, const service& to, std::string body,
                                      const std::string& key) {
  const auto& rules = to.settings;
  outgoing_request made;
  made.method = ex.method();
  made.target = to.to.path;
  made.body = std::move(body);
  if (rules.translate != translation::none) {
    while (made.target.ends_with('/'))
      made.target.pop_back();
    auto done = translate(made, rules.translate);
    if (!done)
      return std::move(done.error());
  } else {
    auto query = query_of(ex);
    if (!query.empty())
      made.target.append(made.target.find('?') == std::string::npos ? "?" : "&").append(query);
    prepare_count(made, rules);
  }
  for (auto name : passed_fields)
    append_field(made.fields, name, ex.header(name));
  for (const auto& name : rules.pass_headers)
    append_field(made.fields, name, ex.header(name));
  append_field(made.fields, "X-Request-Id", ex.request_id());
  append_field(made.fields, "Accept-Encoding", "identity"); // what passes is read for its usage
  const auto& secret = rules.user_key && !key.empty() ? key : rules.key;
  if (!secret.empty())
    append_field(made.fields, rules.auth_header, rules.auth_prefix + secret);
  made.repeatable = rules.retry_safe || is_idempotent(made.method);
  return made;
}

} // namespace sandy::http::platform
