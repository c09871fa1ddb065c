/* The certificates of one generation, gathered until the last is here. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "ipc/memory.h"
#include "receive/private.h"

#define PEM_MAX (1U << 20)

void receive_certificates_forget(struct receive *rx)
{
	for (uint32_t i = 0; rx->certificates.pem && i < rx->certificates.count; i++)
		buf_wipe(&rx->certificates.pem[i]);
	free(rx->certificates.pem);
	rx->certificates.pem = NULL;
	rx->certificates.count = rx->certificates.n = 0;
}

static int load_certificates(struct receive *rx)
{
	uint32_t n = rx->certificates.count;
	struct slice *pem = calloc(n, sizeof(*pem));
	char why[256] = "";
	int r;

	if (!pem)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		pem[i] = buf_slice(&rx->certificates.pem[i]);
	r = tls_server_load(rx->tls, pem, n, why, sizeof(why));
	free(pem);
	if (r < 0)
		LOG(LOG_ERR, "certificates-refused", LOG_STR("why", why), LOG_ERRNO(r));
	else
		rx->tls_ready = true;
	if (r == 0 && why[0])
		LOG(LOG_WARNING, "certificates", LOG_STR("why", why));
	receive_certificates_forget(rx);
	return r;
}

int receive_certificate(struct receive *rx, const struct ipc_certificate *m, int fd)
{
	int r;

	if (fd < 0 || m->count == 0 || m->count > CERTIFICATES_MAX || m->index >= m->count)
		return -EINVAL;
	if (!rx->certificates.pem || rx->certificates.generation != m->generation ||
	    rx->certificates.count != m->count) {
		receive_certificates_forget(rx);
		rx->certificates.pem = calloc(m->count, sizeof(*rx->certificates.pem));
		if (!rx->certificates.pem)
			return -ENOMEM;
		rx->certificates.generation = m->generation;
		rx->certificates.count = m->count;
		for (uint32_t i = 0; i < m->count; i++)
			buf_init(&rx->certificates.pem[i], PEM_MAX);
	}
	if (rx->certificates.pem[m->index].n > 0)
		return -EEXIST;
	r = ipc_memory_read(fd, &rx->certificates.pem[m->index]);
	if (r < 0)
		return r;
	if (++rx->certificates.n < m->count)
		return 0;
	return load_certificates(rx);
}
