// What comes from inside a sandbox and from name servers is read by libraries, and never believed.

#include "http/egress/dns_message.hpp"
#include "http/egress/first_bytes.hpp"

#include <openssl/ssl.h>

#include <arpa/nameser.h>

#include <catch2/catch.hpp>

#include <memory>
#include <random>

using namespace sandy;
using namespace sandy::http::egress;

namespace {

/// The first flight of a real client.
std::string hello_for(const char* name) {
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> client{SSL_new(context.get()), SSL_free};
  auto* out = BIO_new(BIO_s_mem());
  SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), out);
  if (name != nullptr)
    SSL_set_tlsext_host_name(client.get(), name);
  SSL_connect(client.get());
  char* data = nullptr;
  auto size = BIO_get_mem_data(out, &data);
  return {data, static_cast<std::size_t>(size)};
}

/// The same handshake in records of `piece` bytes.
std::string split_records(const std::string& hello, std::size_t piece) {
  std::string split;
  for (std::size_t at = 5; at < hello.size(); at += piece) {
    auto part = hello.substr(at, piece);
    split += hello.substr(0, 3);
    split += static_cast<char>(part.size() >> 8);
    split += static_cast<char>(part.size());
    split += part;
  }
  return split;
}

dns_bytes question_for(std::string_view name, unsigned type = ns_t_a) {
  auto message = write_question(7, name, true);
  message[message.size() - 14] = static_cast<std::uint8_t>(type);
  return message;
}

} // namespace

TEST_CASE("the name of a TLS connection is heard, however it is cut", "[first_bytes]") {
  auto hello = hello_for("Good.Example");
  for (auto size = 1u; size < hello.size(); ++size) {
    auto words = read_first_bytes(std::string_view{hello}.substr(0, size));
    REQUIRE(words.what == spoken::tls);
    REQUIRE_FALSE(words.whole);
  }
  for (const auto& text : {hello, hello + "more", split_records(hello, 1), split_records(hello, 40)}) {
    auto words = read_first_bytes(text);
    CHECK(words.whole);
    CHECK_FALSE(words.broken);
    CHECK(words.name == "good.example");
  }
}

TEST_CASE("TLS without a name is TLS, and one with a wrong name is broken", "[first_bytes]") {
  auto words = read_first_bytes(hello_for(nullptr));
  CHECK(words.whole);
  CHECK_FALSE(words.broken);
  CHECK_FALSE(words.name);
  for (auto name : {"93.184.216.34", "a b", "good.example\nx", "2852039166", "a..b"}) {
    INFO(name);
    words = read_first_bytes(hello_for(name));
    CHECK(words.broken);
    CHECK_FALSE(words.name);
  }
  CHECK(read_first_bytes(std::string{"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", 10}).broken);
  CHECK(read_first_bytes("\x16garbage that is no record").broken);
}

TEST_CASE("the host of an HTTP request is read, however it is cut", "[first_bytes]") {
  std::string text = "GET /a HTTP/1.1\r\nAccept: */*\r\nHOST:  Good.Example.:8080\r\n\r\n";
  for (auto size = 1u; size < text.size(); ++size)
    REQUIRE_FALSE(read_first_bytes(std::string_view{text}.substr(0, size)).whole);
  for (const auto& whole : {text, "\r\n\r\n" + text, text + "GET / HTTP/1.1\r\n"}) {
    auto words = read_first_bytes(whole);
    CHECK(words.whole);
    CHECK_FALSE(words.broken);
    CHECK(words.what == spoken::http);
    CHECK(words.name == "good.example");
  }
}

TEST_CASE("an HTTP request that does not name one host clearly is broken", "[first_bytes]") {
  for (auto host :
       {"Host: a@b.example", "Host: a.example/b", "Host: ", "X: y", "Host: a.example\r\nHost: b.example",
        "Host: a.example b.example", "Host: 0x7f.1", "Host: 2852039166"}) {
    auto words = read_first_bytes("GET / HTTP/1.1\r\n" + std::string{host} + "\r\n\r\n");
    INFO(host);
    CHECK(words.whole);
    CHECK(words.broken);
    CHECK_FALSE(words.name);
  }
  CHECK(read_first_bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").broken);
  auto words = read_first_bytes("GET / HTTP/1.1\r\nHost: [2606::1]:80\r\n\r\n");
  CHECK(words.by_address);
  CHECK_FALSE(words.name);
}

TEST_CASE("other protocols are told apart from the first bytes", "[first_bytes]") {
  const std::string git{"0032git-upload-pack /x\0host=y\0", 30};
  for (const auto& text :
       {std::string{"SSH-2.0-OpenSSH_9.2\r\n"}, std::string{"EHLO me\r\n"}, std::string{"a1 LOGIN x y\r\n"},
        git, std::string{"\x05\x01"}, std::string{"QUIT\r\n"}}) {
    INFO(text);
    auto words = read_first_bytes(text);
    CHECK(words.whole);
    CHECK(words.what == spoken::other);
  }
  CHECK(read_first_bytes(std::string(most_first_bytes, 'A')).whole);
  CHECK(read_first_bytes("GET / HTTP/1.1\r\nX: " + std::string(most_first_bytes, 'a')).broken);
}

TEST_CASE("any first bytes are read without harm", "[first_bytes]") {
  std::mt19937 random{3};
  const auto hello = hello_for("good.example");
  const std::string request = "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n";
  for (int i = 0; i < 4'000; ++i) {
    auto text = i % 2 ? hello : request;
    for (auto changes = random() % 6; changes > 0; --changes)
      text[random() % text.size()] = static_cast<char>(random());
    text.resize(random() % (text.size() + 1));
    auto words = read_first_bytes(text);
    if (words.name)
      CHECK(canonical_domain(*words.name));
  }
}

TEST_CASE("a question is read, and its answer repeats it", "[dns]") {
  auto bytes = question_for("Good.Example", ns_t_aaaa);
  auto question = read_question(bytes);
  REQUIRE(question);
  CHECK(question->name == "good.example");
  CHECK(question->type == ns_t_aaaa);
  CHECK(question->answer_bytes == most_datagram_bytes);
  dns_answer answer;
  answer.aliases = {{"good.example", "a.example", 30}};
  answer.addresses = {{"a.example", *parse_address("93.184.216.34"), 60}};
  auto message = write_answer(*question, answer, 512);
  ns_msg parsed;
  REQUIRE(ns_initparse(message.data(), static_cast<int>(message.size()), &parsed) == 0);
  CHECK(ns_msg_count(parsed, ns_s_an) == 2);
  // In the capitals of the question: who asked in odd ones checks them.
  CHECK(std::string{message.begin() + 13, message.begin() + 17} == "Good");
  answer.addresses.assign(200, answer.addresses.front());
  message = write_answer(*question, answer, 512);
  REQUIRE(ns_initparse(message.data(), static_cast<int>(message.size()), &parsed) == 0);
  CHECK(ns_msg_getflag(parsed, ns_f_tc) == 1);
  CHECK(message.size() <= 512);
}

TEST_CASE("what is no question is refused", "[dns]") {
  auto good = question_for("good.example");
  CHECK(read_question(good));
  for (std::size_t size = 0; size < good.size() - 11; ++size)
    CHECK_FALSE(read_question(std::span{good}.first(size)));
  auto changed = [&](std::size_t where, std::uint8_t value) {
    auto bytes = good;
    bytes[where] = value;
    return bytes;
  };
  CHECK_FALSE(read_question(changed(2, 0x81)));  // an answer
  CHECK_FALSE(read_question(changed(2, 0x29)));  // an update
  CHECK_FALSE(read_question(changed(5, 2)));     // two questions
  CHECK_FALSE(read_question(changed(12, 0xc0))); // a name that points at itself
  CHECK(write_refusal(good, dns_code::malformed).size() == 12);
  CHECK(write_refusal(changed(2, 0x80), dns_code::malformed).empty());
  auto odd = read_question(changed(13, '@'));
  CHECK((!odd || odd->name.empty()));
}

TEST_CASE("an answer counts for its own question only", "[dns]") {
  auto question = read_question(write_question(7, "good.example", true));
  REQUIRE(question);
  dns_answer said;
  said.aliases = {{"good.example", "a.example", 5}, {"a.example", "b.example", 5}};
  said.addresses = {{"b.example", *parse_address("93.184.216.34"), 60},
                    {"evil.example", *parse_address("93.184.216.35"), 60}};
  auto message = write_answer(*question, said, 4096);
  auto answer = read_answer(message, 7, "good.example", true);
  REQUIRE(answer);
  CHECK(answer->aliases.size() == 2);
  REQUIRE(answer->addresses.size() == 1); // the other belongs to a name that nobody asked for
  CHECK(answer->addresses[0].value == *parse_address("93.184.216.34"));
  CHECK_FALSE(read_answer(message, 8, "good.example", true));
  CHECK_FALSE(read_answer(message, 7, "other.example", true));
  CHECK_FALSE(read_answer(message, 7, "good.example", false));
  CHECK_FALSE(read_answer(write_question(7, "good.example", true), 7, "good.example", true));
  said.aliases = {{"good.example", "good.example", 5}};
  said.addresses.clear();
  answer = read_answer(write_answer(*question, said, 4096), 7, "good.example", true);
  CHECK((!answer || answer->addresses.empty())); // and it ended
}

TEST_CASE("any message is read without harm", "[dns]") {
  std::mt19937 random{5};
  auto question = read_question(write_question(7, "good.example", true));
  dns_answer said;
  said.aliases = {{"good.example", "a.example", 5}};
  said.addresses.assign(5, {"a.example", *parse_address("93.184.216.34"), 60});
  const auto answer = write_answer(*question, said, 4096);
  const auto asked = write_question(7, "good.example", true);
  for (int i = 0; i < 50'000; ++i) {
    auto bytes = i % 2 ? answer : asked;
    for (auto changes = random() % 8; changes > 0; --changes)
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    bytes.resize(random() % (bytes.size() + 1));
    auto read = read_answer(bytes, 7, "good.example", true);
    if (read)
      CHECK(read->addresses.size() <= 64);
    auto again = read_question(bytes);
    if (again)
      CHECK(write_answer(*again, said, 512).size() <= 512);
  }
}
