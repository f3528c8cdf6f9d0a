/*
 * tls_cluster.c -- see tls_cluster.h.
 */
#include "proxy/transport/tls_cluster.h"

#include "proxy/transport/tls_context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static bool set_rules(SSL_CTX *context)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    return xf_tls_set_common(context) &&
           SSL_CTX_set_alpn_protos(context, protocols, sizeof(protocols) - 1) == 0;
}

static int load_trust(SSL_CTX *context, const struct xf_config_cluster *cluster,
                      struct xf_error *err)
{
    const struct xf_config_upstream_tls *tls = &cluster->tls;
    SSL_CTX_set_verify(context, tls->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    bool done = tls->ca == NULL ? SSL_CTX_set_default_verify_paths(context) == 1
                                : xf_tls_is_file(tls->ca) &&
                                      SSL_CTX_load_verify_locations(context, tls->ca, NULL) == 1;
    if (!done || !xf_tls_prepare_trust(context)) {
        return XF_FAIL(err, XF_E_CONFIG, "clusters.%s.tls.ca: %.160s: %s", cluster->name,
                       tls->ca != NULL ? tls->ca : "the system's", xf_tls_reason());
    }
    return 0;
}

static int load_own(SSL_CTX *context, const struct xf_config_cluster *cluster, struct xf_error *err)
{
    const struct xf_config_upstream_tls *tls = &cluster->tls;
    if (tls->certificate == NULL) {
        return 0;
    }
    if (!xf_tls_is_file(tls->certificate) ||
        SSL_CTX_use_certificate_chain_file(context, tls->certificate) != 1) {
        return XF_FAIL(err, XF_E_CONFIG, "clusters.%s.tls.certificate: %.160s: %s", cluster->name,
                       tls->certificate, xf_tls_reason());
    }
    if (!xf_tls_is_file(tls->key) ||
        SSL_CTX_use_PrivateKey_file(context, tls->key, SSL_FILETYPE_PEM) != 1) {
        return XF_FAIL(err, XF_E_CONFIG, "clusters.%s.tls.key: %.160s: %s", cluster->name, tls->key,
                       xf_tls_reason());
    }
    return 0;
}

int xf_tls_cluster_load(const struct xf_config_cluster *cluster, SSL_CTX **ret,
                        struct xf_error *err)
{
    ERR_clear_error();
    SSL_CTX *context = *ret = SSL_CTX_new(TLS_client_method());
    if (context == NULL || !set_rules(context)) {
        return XF_FAIL(err, XF_E_SYSTEM, "OpenSSL: %s", xf_tls_reason());
    }
    if (SSL_CTX_set1_groups_list(context, cluster->tls.groups) != 1) {
        return XF_FAIL(err, XF_E_CONFIG, "clusters.%s.tls.groups: \"%.120s\" names no groups",
                       cluster->name, cluster->tls.groups);
    }
    return load_trust(context, cluster, err) != 0 ? -1 : load_own(context, cluster, err);
}

static bool is_address(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

const char *xf_tls_name(const struct xf_config_cluster *cluster, unsigned server)
{
    return cluster->tls.server_name != NULL ? cluster->tls.server_name
                                            : cluster->servers[server].endpoint.host;
}

bool xf_tls_expect(SSL *ssl, const char *name)
{
    if (is_address(name)) { /* SNI knows names only (RFC 6066 3) */
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    }
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}
