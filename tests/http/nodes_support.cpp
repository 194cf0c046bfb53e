#include "http/nodes_support.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace sandy::tests {

namespace {

void require(bool promise, const char* what) {
  if (!promise)
    throw std::runtime_error(what);
}

/// Not signed yet.
X509* make_certificate(const std::string& subject, EVP_PKEY* key, X509* issuer, long valid_seconds) {
  static long serial = 0;
  ++serial;
  const auto name = issuer != nullptr ? subject : subject + " " + std::to_string(serial); // two are two
  auto* made = X509_new();
  X509_set_version(made, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made), serial);
  X509_gmtime_adj(X509_getm_notBefore(made), -3600);
  X509_gmtime_adj(X509_getm_notAfter(made), valid_seconds);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(made, X509_get_subject_name(issuer != nullptr ? issuer : made));
  X509_set_pubkey(made, key);
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer != nullptr ? issuer : made, made, nullptr, nullptr, 0);
  auto* limits = X509V3_EXT_conf_nid(nullptr, &context, NID_basic_constraints,
                                     issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
  X509_add_ext(made, limits, -1);
  X509_EXTENSION_free(limits);
  return made;
}

template <class Write>
void write_file(const std::string& path, Write write) {
  auto* file = std::fopen(path.c_str(), "w");
  require(file != nullptr && write(file) == 1, "no file");
  std::fclose(file);
}

void write_certificate(const std::string& path, X509* certificate) {
  write_file(path, [&](FILE* to) { return PEM_write_X509(to, certificate); });
}

} // namespace

node_authority::node_authority()
    : key_(EVP_EC_gen("P-256"))
    , certificate_(make_certificate("Cluster", key_.get(), nullptr, 3600)) {
  std::string pattern = (std::filesystem::temp_directory_path() / "sandy-nodes-XXXXXX").string();
  require(::mkdtemp(pattern.data()) != nullptr, "no folder");
  folder_ = pattern;
  file = folder_ / "authority.crt";
  require(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) > 0, "not signed");
  write_certificate(file, certificate_.get());
}

node_authority::~node_authority() { std::filesystem::remove_all(folder_); }

std::string node_authority::issue(const std::string& name, long valid_seconds) {
  std::unique_ptr<EVP_PKEY, freed> key{EVP_EC_gen("P-256")};
  std::unique_ptr<X509, freed> made{make_certificate(name, key.get(), certificate_.get(), valid_seconds)};
  require(X509_sign(made.get(), key_.get(), EVP_sha256()) > 0, "not signed");
  auto path = (folder_ / name).string();
  write_certificate(path + ".crt", made.get());
  write_file(path + ".key", [&](FILE* to) {
    return PEM_write_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  return path;
}

std::shared_ptr<http::nodes::credentials> node_authority::node(const std::string& name) {
  auto path = issue(name);
  auto made = http::nodes::credentials::load(path + ".crt", path + ".key", file);
  require(static_cast<bool>(made), made ? "" : text_of(made.error()).c_str());
  return *made;
}

linked_pair::linked_pair() {
  using boost::asio::ip::tcp;
  auto& home = world.home();
  auto executor = home.io_context.get_executor();
  std::shared_ptr<http::shard> borrowed{std::shared_ptr<void>{}, &home};
  boost::asio::basic_socket_acceptor<tcp, io_executor> listening{
      executor, {boost::asio::ip::address_v4::loopback(), 0}};
  http::connection::socket from{executor};
  from.connect(listening.local_endpoint());
  http::connection::socket to{executor};
  listening.accept(to);
  near = std::make_unique<http::connection>(std::move(from), borrowed);
  far = std::make_unique<http::connection>(std::move(to), borrowed);
}

linked_pair::outcome linked_pair::greet(http::tls_stream::made client, http::tls_stream::made server,
                                        std::chrono::milliseconds timeout) {
  using boost::asio::experimental::awaitable_operators::operator&&;
  require(client && server, "no TLS");
  // Whoever is refused closes: the other side learns of it.
  auto meet = [](http::connection& link, std::unique_ptr<http::tls_stream> side,
                 std::chrono::milliseconds limit) -> io_task<result<void>> {
    auto met = co_await link.greet(std::move(side), limit);
    if (!met)
      co_await link.close_gently(100ms);
    co_return met;
  };
  auto both = [](io_task<result<void>> one, io_task<result<void>> other) -> io_task<outcome> {
    auto met = co_await (std::move(one) && std::move(other));
    co_return outcome{std::move(std::get<0>(met)), std::move(std::get<1>(met))};
  };
  return world.run(both(meet(*near, std::move(*client), timeout), meet(*far, std::move(*server), timeout)));
}

linked_pair::outcome linked_pair::greet(http::nodes::credentials& client, http::nodes::credentials& server) {
  return greet(http::tls_stream::client(client.client()), http::tls_stream::server(server.server()));
}

io_task<std::string> read_bytes(http::connection& from, std::size_t count) {
  std::string all;
  std::array<char, 50'000> piece; // no multiple of anything
  while (all.size() < count) {
    std::size_t size = 0;
    auto status = from.receive(piece.data(), std::min(piece.size(), count - all.size()), size);
    all.append(piece.data(), size);
    if (status == http::io_status::would_block)
      status = co_await from.wait_readable(5s);
    if (status != http::io_status::ok)
      break;
  }
  co_return all;
}

io_task<std::string> read_to_end(http::connection& from) {
  std::string all;
  for (;;) {
    auto status = from.receive(std::size_t{100'000});
    all.append(from.buffer().data());
    from.buffer().consume(from.buffer().size());
    if (status == http::io_status::would_block)
      status = co_await from.wait_readable(5s);
    if (status != http::io_status::ok)
      co_return all;
  }
}

} // namespace sandy::tests
