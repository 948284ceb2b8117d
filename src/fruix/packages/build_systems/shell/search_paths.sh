search_path PATH "$fruix_all" bin sbin
search_path CPATH "$fruix_inputs" include
search_path LIBRARY_PATH "$fruix_inputs" lib
search_path PKG_CONFIG_PATH "$fruix_inputs" lib/pkgconfig share/pkgconfig
search_path ACLOCAL_PATH "$fruix_all" share/aclocal
search_path CMAKE_PREFIX_PATH "$fruix_inputs" ''
search_path PYTHONPATH "$fruix_all" lib/python3/site-packages
