// `sandy cluster certs`: what it writes, judged by OpenSSL.

#include "app/cli/private_files.hpp"
#include "certificates/cluster_authority.hpp"
#include "tests/app/client_program.hpp"

#include <openssl/asn1.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <sys/stat.h>

#include <set>

using namespace sandy;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using certificates::certificate_owner;

namespace {

/// Offline: an address that no server can have must not matter.
outcome certs(std::vector<std::string> words) {
  words.insert(words.begin(), {"cluster", "certs"});
  return program("no address", std::move(words)).wait();
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

certificate_owner certificate_in(const std::string& path) {
  auto read = certificates::read_certificate(text_of(path));
  INFO(path);
  REQUIRE(read);
  return read;
}

/// OpenSSL's verdict on a certificate, as strict as it can be; X509_V_OK or what is wrong.
int verdict(const certificate_owner& certificate, const certificate_owner& authority, int purpose) {
  std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store{X509_STORE_new(), X509_STORE_free};
  std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> context{X509_STORE_CTX_new(),
                                                                          X509_STORE_CTX_free};
  REQUIRE(X509_STORE_add_cert(store.get(), authority.get()) == 1);
  REQUIRE(X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr) == 1);
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_X509_STRICT);
  REQUIRE(X509_STORE_CTX_set_purpose(context.get(), purpose) == 1);
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

/// From now to the end of the certificate, in days, rounded: the test takes its moments.
int days_left(const certificate_owner& certificate) {
  int days = 0, seconds = 0;
  REQUIRE(ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate.get())) == 1);
  return days + (seconds > 12 * 60 * 60);
}

std::string common_name(const X509_NAME* name) {
  char text[100];
  auto size = X509_NAME_get_text_by_NID(const_cast<X509_NAME*>(name), NID_commonName, text, sizeof text);
  REQUIRE(size >= 0);
  return text;
}

std::string serial_of(const certificate_owner& certificate) {
  const auto* number = X509_get0_serialNumber(certificate.get());
  return {reinterpret_cast<const char*>(number->data), static_cast<std::size_t>(number->length)};
}

/// Curve and ownership: the key in the file is the certificate's.
bool is_p256_key_of(const std::string& path, const certificate_owner& certificate) {
  auto key = certificates::read_key(text_of(path));
  char group[40] = {};
  return key && EVP_PKEY_get_group_name(key.get(), group, sizeof group, nullptr) == 1 &&
         std::string(group) == SN_X9_62_prime256v1 &&
         X509_check_private_key(certificate.get(), key.get()) == 1;
}

std::set<std::string> names_in(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.insert(entry.path().filename());
  return names;
}

} // namespace

TEST_CASE("certificates of nodes are good for both sides of a connection", "[cli][certs]") {
  temporary_directory temporary;
  auto directory = temporary.path() + "/pki";
  auto done = certs({directory, "w1", "worker-2.example.com"});
  INFO(done.err);
  REQUIRE(done.exit_code == 0);
  auto authority = certificate_in(directory + "/ca.pem");
  auto w1 = certificate_in(directory + "/w1.pem");
  auto w2 = certificate_in(directory + "/worker-2.example.com.pem");
  for (const auto* node : {&w1, &w2}) {
    CHECK(verdict(*node, authority, X509_PURPOSE_SSL_SERVER) == X509_V_OK);
    CHECK(verdict(*node, authority, X509_PURPOSE_SSL_CLIENT) == X509_V_OK);
    CHECK(X509_check_ca(node->get()) == 0);
    CHECK(days_left(*node) == 825);
  }
  CHECK(X509_check_host(w1.get(), "w1", 2, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1);
  CHECK(X509_check_host(w2.get(), "w1", 2, 0, nullptr) == 0);
  CHECK(common_name(X509_get_subject_name(w1.get())) == "w1");
  CHECK(X509_get_key_usage(w1.get()) == KU_DIGITAL_SIGNATURE);
  CHECK(X509_get_extended_key_usage(w1.get()) == (XKU_SSL_SERVER | XKU_SSL_CLIENT));
  CHECK(serial_of(w1) != serial_of(w2));
  CHECK(is_p256_key_of(directory + "/w1-key.pem", w1));
  CHECK(is_p256_key_of(directory + "/worker-2.example.com-key.pem", w2));
  CHECK_FALSE(is_p256_key_of(directory + "/w1-key.pem", w2));
}

TEST_CASE("the authority vouches for nodes and for no further authority", "[cli][certs]") {
  temporary_directory directory;
  REQUIRE(certs({directory.path(), "w1"}).exit_code == 0);
  auto authority = certificate_in(directory.path() + "/ca.pem");
  CHECK(common_name(X509_get_subject_name(authority.get())) == "Sandy cluster authority");
  CHECK(X509_check_ca(authority.get()) == 1);
  CHECK(X509_get_pathlen(authority.get()) == 0);
  CHECK(days_left(authority) / 365 == 10);
  CHECK(is_p256_key_of(directory.path() + "/ca-key.pem", authority));
}

TEST_CASE("what was issued just now works on machines whose clocks are behind", "[cli][certs]") {
  temporary_directory directory;
  REQUIRE(certs({directory.path(), "w1", "--days", "30"}).exit_code == 0);
  for (auto name : {"/ca.pem", "/w1.pem"}) {
    auto certificate = certificate_in(directory.path() + name);
    int days = 0, seconds = 0;
    REQUIRE(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(certificate.get()), nullptr) == 1);
    CHECK((days == 0 && seconds >= 5 * 60));
  }
  CHECK(days_left(certificate_in(directory.path() + "/w1.pem")) == 30);
}

TEST_CASE("a certificate of another authority is refused", "[cli][certs]") {
  temporary_directory ours, theirs;
  REQUIRE(certs({ours.path(), "w1"}).exit_code == 0);
  REQUIRE(certs({theirs.path(), "w1"}).exit_code == 0);
  auto authority = certificate_in(ours.path() + "/ca.pem");
  auto stranger = certificate_in(theirs.path() + "/w1.pem");
  CHECK(verdict(stranger, authority, X509_PURPOSE_SSL_SERVER) != X509_V_OK);
  CHECK(verdict(stranger, authority, X509_PURPOSE_SSL_CLIENT) != X509_V_OK);
}

TEST_CASE("a second call signs with the authority that is there", "[cli][certs]") {
  temporary_directory directory;
  REQUIRE(certs({directory.path(), "w1"}).exit_code == 0);
  auto authority = text_of(directory.path() + "/ca.pem"), key = text_of(directory.path() + "/ca-key.pem");
  auto second = certs({directory.path(), "w2"});
  REQUIRE(second.exit_code == 0);
  CHECK_THAT(second.out, !Contains("authority, until"));
  CHECK(text_of(directory.path() + "/ca.pem") == authority);
  CHECK(text_of(directory.path() + "/ca-key.pem") == key);
  CHECK(verdict(certificate_in(directory.path() + "/w2.pem"), certificate_in(directory.path() + "/ca.pem"),
                X509_PURPOSE_SSL_SERVER) == X509_V_OK);
}

TEST_CASE("files of a node survive, and nothing else is made then", "[cli][certs]") {
  auto existing = GENERATE(as<std::string>{}, "w2.pem", "w2-key.pem");
  temporary_directory directory;
  auto file = directory.write(existing, "mine");
  auto refused = certs({directory.path(), "w1", "w2"});
  CHECK(refused.exit_code == 1);
  CHECK(refused.err ==
        "sandy: " + file + " exists and is not overwritten; remove it to have a new one made\n");
  CHECK(text_of(file) == "mine");
  CHECK(names_in(directory.path()) == std::set<std::string>{existing});
}

TEST_CASE("a link in the place of a file is not followed", "[cli][certs]") {
  temporary_directory directory, elsewhere;
  std::filesystem::create_symlink(elsewhere.path() + "/stolen", directory.path() + "/w1-key.pem");
  CHECK(certs({directory.path(), "w1"}).exit_code == 1);
  CHECK(names_in(elsewhere.path()).empty());
}

TEST_CASE("of files that belong together all are written or none", "[cli][certs]") {
  temporary_directory directory;
  auto first = directory.path() + "/first", second = directory.write("second", "mine");
  auto refused = cli::write_private_files({{first, "key"}, {second, "certificate"}});
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::file_exists);
  CHECK(text_of(second) == "mine");
  CHECK(names_in(directory.path()) == std::set<std::string>{"second"});
}

TEST_CASE("all that is written is for its owner alone", "[cli][certs]") {
  temporary_directory temporary;
  auto directory = temporary.path() + "/pki";
  auto before = ::umask(0); // nothing is left to chance
  auto done = certs({directory, "w1"});
  ::umask(before);
  REQUIRE(done.exit_code == 0);
  CHECK(names_in(directory) == std::set<std::string>{"ca.pem", "ca-key.pem", "w1.pem", "w1-key.pem"});
  struct stat status{};
  REQUIRE(::stat(directory.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0700);
  for (const auto& name : names_in(directory)) {
    INFO(name);
    REQUIRE(::stat((directory + "/" + name).c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
  }
}

TEST_CASE("names that are none of hosts are refused before anything is written", "[cli][certs]") {
  auto name = GENERATE(as<std::string>{}, "", "W1", "w-", "a/b", "../w1", ".", "w1.", "a..b", "a b", "a,b",
                       "w\n1", "10.0.0.1", "caf\xc3\xa9", std::string(64, 'a'), "ca", "w1-key",
                       std::string(40, 'a') + "." + std::string(40, 'a'));
  temporary_directory temporary;
  auto directory = temporary.path() + "/pki";
  auto refused = certs({directory, "good", name});
  INFO(name << ": " << refused.err);
  CHECK(refused.exit_code == 2);
  CHECK(refused.err.starts_with("sandy: \"" + name + "\" cannot be a node's name"));
  CHECK_FALSE(std::filesystem::exists(directory));
}

TEST_CASE("a bad name is told with a sentence", "[cli][certs]") {
  temporary_directory directory;
  CHECK(certs({directory.path(), "a/b"}).err ==
        "sandy: \"a/b\" cannot be a node's name: take a host name in lower case, such as worker-1\n");
  CHECK_THAT(certs({directory.path(), "ca"}).err, Contains("files would be those of another"));
  CHECK_THAT(certs({directory.path(), "w1", "w1"}).err, Contains("\"w1\" is named twice"));
}

TEST_CASE("an authority without its key is neither used nor replaced", "[cli][certs]") {
  temporary_directory directory;
  REQUIRE(certs({directory.path(), "w1"}).exit_code == 0);
  std::filesystem::remove(directory.path() + "/ca-key.pem");
  auto refused = certs({directory.path(), "w2"});
  CHECK(refused.exit_code == 1);
  CHECK_THAT(refused.err, Contains("ca-key.pem is missing beside"));
  CHECK(names_in(directory.path()) == std::set<std::string>{"ca.pem", "w1.pem", "w1-key.pem"});
}

TEST_CASE("what is no authority signs nothing", "[cli][certs]") {
  temporary_directory directory;
  auto other = certificates::make_cluster_authority(), mine = certificates::make_cluster_authority();
  REQUIRE((other && mine));
  directory.write("ca.pem", mine->certificate);
  auto key = GENERATE_COPY(std::string("nonsense"), other->key);
  directory.write("ca-key.pem", key);
  CHECK_THAT(certs({directory.path(), "w1"}).err, Contains("authority cannot be used"));
  auto authority = certificates::cluster_authority::from(*mine);
  auto node = authority->issue("w0", 10);
  REQUIRE(node);
  directory.write("ca.pem", node->certificate);
  directory.write("ca-key.pem", node->key);
  CHECK_THAT(certs({directory.path(), "w1"}).err, Contains("none of an authority"));
  CHECK(names_in(directory.path()) == std::set<std::string>{"ca.pem", "ca-key.pem"});
}

TEST_CASE("no certificate outlives its authority", "[cli][certs]") {
  auto texts = certificates::make_cluster_authority();
  REQUIRE(texts);
  auto authority = certificates::cluster_authority::from(*texts);
  REQUIRE(authority);
  CHECK(authority->issue("w1", certificates::cluster_authority_days - 1));
  auto refused = authority->issue("w1", certificates::cluster_authority_days + 1);
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::invalid_argument);
  CHECK_THAT(sandy::text_of(refused.error()), Contains("The authority ends on " + texts->last_day));
  CHECK_FALSE(authority->issue("a,DNS:b", 1));
}

TEST_CASE("the settings of each node are told", "[cli][certs]") {
  temporary_directory directory;
  auto done = certs({directory.path(), "w1", "w2"});
  CHECK_THAT(done.out,
             StartsWith("Wrote " + directory.path() + "/ca.pem and " + directory.path() + "/ca-key.pem: "));
  CHECK_THAT(done.out, Contains("Wrote " + directory.path() + "/w2.pem"));
  CHECK_THAT(done.out, Contains("ca-key.pem belongs on no node"));
  CHECK_THAT(done.out,
             Contains("cluster_certificate = \"/etc/sandy/w2.pem\"\ncluster_key = \"/etc/sandy/w2-key.pem\"\n"
                      "cluster_authority = \"/etc/sandy/ca.pem\"\n"));
}

TEST_CASE("a directory that cannot be made is named", "[cli][certs]") {
  temporary_directory directory;
  auto done = certs({directory.path() + "/no/such", "w1"});
  CHECK(done.exit_code == 1);
  CHECK_THAT(done.err, Contains("Cannot make " + directory.path() + "/no/such: No such file or directory"));
  CHECK_THAT(certs({directory.write("file", ""), "w1"}).err, Contains("Not a directory"));
}
