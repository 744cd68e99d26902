# Run where the backups are: what a folder of mariadb-backup holds, its size, and the versions of the server that it was
# taken from and of this image.
# shellcheck shell=bash
cd "/backups/$1" 2>/dev/null || { echo missing; exit 0; }
compgen -G '*_checkpoints' >/dev/null || { echo none; exit 0; }
du -sb . | cut -f 1
sed -n 's/^server_version = //p' ./*_info | head -n 1
mariadbd --version
