#!/bin/sh
# Runs inside the image, after nginx is installed and the site's files are there. SITE and BASE come from the template.
set -eu

sed -i "s/@SITE@/$SITE/g; s/@BASE@/$BASE/g" /var/www/html/index.html /etc/nginx/sites-available/site
chmod 0644 /var/www/html/index.html /etc/nginx/sites-available/site
ln -sfn ../sites-available/site /etc/nginx/sites-enabled/site
rm -f /etc/nginx/sites-enabled/default

# A wrong configuration fails the build here, not the first instance.
nginx -t

# The package tried to start its daemon; the build kept it from it.
if [ -e /run/nginx.pid ] && kill -0 "$(cat /run/nginx.pid)" 2>/dev/null; then
    echo "nginx was started while the image was being built" >&2
    exit 1
fi

apt-get clean
rm -rf /var/lib/apt/lists/*
